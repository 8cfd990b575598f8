/* A program that opens the library itself, and lets nobody else see its symbols: opened PATH; prints the channels. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **argument)
{
    void *library = count == 2 ? dlopen(argument[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*config)(int, int, char *, int, char *, int, int, char *, int, int);
    int (*get_num_chan)(int);
    char *(*get_error_message)(void);
    void *symbols[3];

    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    symbols[0] = dlsym(library, "xsp3_config");
    symbols[1] = dlsym(library, "xsp3_get_num_chan");
    symbols[2] = dlsym(library, "xsp3_get_error_message");
    memcpy(&config, &symbols[0], sizeof config);
    memcpy(&get_num_chan, &symbols[1], sizeof get_num_chan);
    memcpy(&get_error_message, &symbols[2], sizeof get_error_message);
    if (config(1, 64, NULL, -1, NULL, -1, 1, NULL, 0, 0) != 0) {
        fprintf(stderr, "%s\n", get_error_message());
        return 1;
    }
    printf("%d\n", get_num_chan(0));
    return 0;
}
