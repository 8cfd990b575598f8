"""A receiver of the data stream with zmq and numpy only: python reference_receiver.py tcp://127.0.0.1:9999 NAME."""

import json
import sys

import numpy as np
import zmq

FRAME = np.dtype([("time", "<f8"), ("markers", "<u4"), ("status", "<u4")])


def decode(parts):
    """Part 0 of a message as a dict; of an image also its arrays `spectra`, `scalers`, `factors` and `frames`."""
    message = json.loads(parts[0])
    if message["htype"] == "image":
        if message["compression"] != "none":
            raise ValueError(f"compression {message['compression']}: the hello did not ask for none")
        frames, channels, bins = message["shape"]
        message["spectra"] = np.frombuffer(parts[1], "<u4").reshape(frames, channels, bins)
        message["scalers"] = np.frombuffer(parts[2], "<u4").reshape(frames, channels, 9)
        message["factors"] = np.frombuffer(parts[3], "<f8").reshape(frames, channels)
        message["frames"] = np.frombuffer(parts[4], FRAME).reshape(frames)
    return message


def receive(address, name, credit=16):
    """Yield every message of the server; a block's credit goes back when the next one is asked for."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.rcvhwm = 0  # credit is the limit
        socket.connect(address)
        hello = {"htype": "hello", "name": name, "version": 1, "credit": credit, "compression": "none"}
        socket.send(json.dumps(hello).encode())
        while True:
            message = decode(socket.recv_multipart())
            if message["htype"] == "refused":
                raise ConnectionError(message["error"])
            yield message
            if message["htype"] == "image":
                socket.send(b'{"htype": "credit", "n": 1}')


def follow(messages):
    """Print each series to its end: what came, what is missing."""
    due = count = total = 0
    for message in messages:
        if message["htype"] == "header":
            due = count = total = 0
            print(f"series {message['series_id']}: {message['frames']} frames of {message['channels']} channels")
        elif message["htype"] == "image":
            if message["frame"] > due:
                print(f"  frames {due}..{message['frame'] - 1} did not come")
            count, total = count + len(message["frames"]), total + int(message["spectra"].sum())
            due = message["frame"] + len(message["frames"])
        elif message["htype"] == "series_end":
            print(f"  {message['reason']}: {message['acquired']} acquired, {count} received, {total} counts")
            for gap in message["missing"] + message["lost"]:
                print(f"  missing {gap['first']}..{gap['last']}: {gap['reason']}")


if __name__ == "__main__":
    follow(receive(*sys.argv[1:3]))
