/* The C side of the emulator's libxspress3.so: starts Python when a function is first called. Written for cffi's
 * embedding API, which puts this after its own code; XSP3IOC_* are strings of the build.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "xspress3.h"

#define EXPORTED __attribute__((visibility("default")))

EXPORTED const int xsp3ioc_emulated = 1; /* tells this library from the vendor's */

EXPORTED XSP3Path Xsp3Sys[XSP3_MAX_PATH];

static char xsp3ioc_message[XSP3_MAX_MSG_LEN]; /* what xsp3_get_error_message gives */
static int xsp3ioc_owned;                      /* this library has started Python, for a program that has none */
static int xsp3ioc_serving;                    /* the functions lead to Python now */

static void complain(const char *what, const char *detail)
{
    snprintf(xsp3ioc_message, sizeof xsp3ioc_message, "cannot start the emulator: %s%s", what, detail);
}

static int start_python(void)
{
    PyPreConfig before;
    PyConfig config;
    PyStatus status;

    /* Python's extension modules look for its symbols among the global ones, wherever this library was loaded. */
    if (dlopen(XSP3IOC_LIBPYTHON, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL) == NULL) {
        complain("", dlerror());
        return 0;
    }
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    status = Py_PreInitialize(&before);
    if (!PyStatus_Exception(status)) {
        PyConfig_InitIsolatedConfig(&config);
        /* The program's name leads Python to the virtual environment that this was built in. */
        status = PyConfig_SetBytesString(&config, &config.program_name, XSP3IOC_PYTHON);
        if (!PyStatus_Exception(status))
            status = Py_InitializeFromConfig(&config);
        PyConfig_Clear(&config);
    }
    if (PyStatus_Exception(status)) {
        complain("Python of " XSP3IOC_PYTHON ": ", status.err_msg ? status.err_msg : "unknown error");
        return 0;
    }
    xsp3ioc_owned = 1;
    PyEval_SaveThread(); /* each call takes the interpreter's lock for itself */
    return 1;
}

static int start(void)
{
    if (Py_IsInitialized()) {
        if (strncmp(Py_GetVersion(), XSP3IOC_VERSION ".", strlen(XSP3IOC_VERSION ".")) != 0) {
            complain("this library was built with Python " XSP3IOC_VERSION ", and the program runs ", Py_GetVersion());
            return 0;
        }
    } else if (!start_python()) {
        return 0;
    }
    if (cffi_start_python() != 0)
        complain("see what Python wrote to the terminal", "");
    return xsp3ioc_serving;
}

/* Return whether Python serves. Never tried again after a failure: Python can be started only once. */
static int ready(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int answer = -1;
    int found = __atomic_load_n(&answer, __ATOMIC_ACQUIRE);

    if (found < 0) {
        pthread_mutex_lock(&lock);
        if (answer < 0)
            __atomic_store_n(&answer, start(), __ATOMIC_RELEASE);
        found = answer;
        pthread_mutex_unlock(&lock);
    }
    return found;
}

EXPORTED char *xsp3_get_error_message(void)
{
    return xsp3ioc_message;
}
