/* Writes to HDF5 files as a failing disk has them; preloaded into the server and its writer.
 *
 * Orders are files in the directory XSP3IOC_TEST_DISK: `fail` holds the errno that writes fail with, and while there is
 * one named `hold`, they do not return.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int ordered(const char *name, int *value)
{
    const char *directory = getenv("XSP3IOC_TEST_DISK");
    char path[4096], text[16];
    ssize_t size;
    int file;

    if (!directory)
        return 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    size = read(file, text, sizeof text - 1);
    close(file);
    text[size > 0 ? size : 0] = 0;
    *value = atoi(text);
    return 1;
}

static int fails(int file)
{
    char link[64], path[4096];
    ssize_t size;
    int value;

    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    if (!strstr(path, ".h5"))
        return 0;
    while (ordered("hold", &value))
        usleep(1000);
    if (!ordered("fail", &value))
        return 0;
    errno = value;
    return 1;
}

ssize_t pwrite(int file, const void *data, size_t size, off_t place)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);

    if (!real)
        real = dlsym(RTLD_NEXT, "pwrite");
    return fails(file) ? -1 : real(file, data, size, place);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t place)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);

    if (!real)
        real = dlsym(RTLD_NEXT, "pwrite64");
    return fails(file) ? -1 : real(file, data, size, place);
}
