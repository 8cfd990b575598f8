"""What can be put to the parameters of the arrays: mostly what they are already, in the words of the client's menus."""

from __future__ import annotations

from xsp3ioc.stream.array_parameters import FLOAT64, UINT32
from xsp3ioc.stream.array_values import shape_values
from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.life import StateError


class ArrayCommands(Commanded):
    """Type and size of frames."""

    def _put_corrected(self, value: bool, channel: int | None) -> None:
        self._let_close()
        if self.values["capture"] and value != self.values["corrected"]:
            raise StateError(f"CTRL_DTC cannot change while {self.values['full_file_name']} is being written")
        self.update("corrected", value)
        self.update_changed(shape_values(self.values["channels"], value))

    def _put_data_type(self, value: int, channel: int | None) -> None:
        parameter, is_now = self.parameters["data_type"], self.values["data_type"]
        if value != is_now:
            names = parameter.choices
            raise ValueError(
                f"DataType = {names[value]}: spectra are {names[UINT32]}, and {names[FLOAT64]} with CTRL_DTC enabled"
            )
        self.update("data_type", value)

    def _put_color_mode(self, value: int, channel: int | None) -> None:
        if value:
            raise ValueError(f"ColorMode = {self.parameters['color_mode'].choices[value]}: spectra are Mono")
        self.update("color_mode", value)

    def _put_region_size_y(self, value: int, channel: int | None) -> None:
        if value != self.values["channels"]:
            raise ValueError(f"SizeY = {value}: all {self.values['channels']} channels are read out")
        self.update("region_size_y", value)

    def _put_reverse_x(self, value: bool, channel: int | None) -> None:
        if value:
            raise ValueError("ReverseX = Yes: spectra begin at bin 0")
        self.update("reverse_x", value)

    def _put_reverse_y(self, value: bool, channel: int | None) -> None:
        if value:
            raise ValueError("ReverseY = Yes: frames begin with channel 1")
        self.update("reverse_y", value)

    def _put_channels(self, value: int, channel: int | None) -> None:
        if value != self.values["channels"]:
            raise ValueError(
                f"NUM_CHANNELS = {value}: the server was started for {self.values['channels']} channels; to change it, "
                "set channels of [detector] in its configuration and start it again"
            )
        self.update("channels", value)
