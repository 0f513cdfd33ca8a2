/* System calls that fail on request, for LD_PRELOAD.
 *
 * Calls on paths below one folder are counted by kind. The armed one (all of a kind: number 0)
 * fails with an errno, or kills the process (errno 0). The wall clock can be made to go back at
 * every look. Python arms both through ctypes; an unarmed process is not touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, FSYNC, RENAME, LINK, FLOCK, STATVFS, TRUNCATE, MKDIR, UNLINK, KINDS };
static const char *const NAMES[KINDS] = {
    "open", "read", "write", "fsync", "rename", "link", "flock", "statvfs", "truncate", "mkdir",
    "unlink"};

static char folder[PATH_MAX];
static size_t folder_length;
static _Atomic long counts[KINDS];
static int armed_kind = -1, armed_errno;
static long armed_number;
static long long clock_step; /* nanoseconds by which the wall clock goes back at every look */
static _Atomic long long clock_back;

void fault_watch(const char *path) {
    snprintf(folder, sizeof folder, "%s", path);
    folder_length = strlen(folder);
}

long fault_count(const char *kind) {
    for (int k = 0; k < KINDS; k++)
        if (!strcmp(kind, NAMES[k])) return counts[k];
    return -1;
}

void fault_arm(const char *kind, long number, int error) {
    for (int k = 0; k < KINDS; k++)
        if (!strcmp(kind, NAMES[k])) armed_kind = k;
    armed_number = number;
    armed_errno = error;
}

void fault_clock(long long step) { clock_step = step; }

static int fails(int kind, const char *path) {
    if (!folder_length || !path || strncmp(path, folder, folder_length)) return 0;
    long number = ++counts[kind];
    if (kind != armed_kind || (armed_number && number != armed_number)) return 0;
    if (!armed_errno) raise(SIGKILL);
    errno = armed_errno;
    return 1;
}

static int fails_at(int kind, int handle) {
    if (!folder_length || handle < 0) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(kind, path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

/* Reading is no risk to what is written: only opening for writing, and folders to be synced. */
#define CHECKED(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT))
#define OPENED(name)                                                          \
    int name(const char *path, int flags, ...) {                              \
        va_list rest;                                                         \
        va_start(rest, flags);                                                \
        mode_t mode = va_arg(rest, mode_t);                                   \
        va_end(rest);                                                         \
        REAL(name);                                                           \
        if (CHECKED(flags) && fails(OPEN, path)) return -1;                   \
        return real(path, flags, mode);                                       \
    }
OPENED(open)
OPENED(open64)
#define OPENED_AT(name)                                                       \
    int name(int at, const char *path, int flags, ...) {                      \
        va_list rest;                                                         \
        va_start(rest, flags);                                                \
        mode_t mode = va_arg(rest, mode_t);                                   \
        va_end(rest);                                                         \
        REAL(name);                                                           \
        if (CHECKED(flags) && fails(OPEN, path)) return -1;                   \
        return real(at, path, flags, mode);                                   \
    }
OPENED_AT(openat)
OPENED_AT(openat64)

#define CALL(kind, test, answer, name, parameters, arguments)                 \
    answer name parameters {                                                  \
        REAL(name);                                                           \
        if (test) return -1;                                                  \
        return real arguments;                                                \
    }
#define ON_HANDLE(kind, answer, name, parameters, arguments)                  \
    CALL(kind, fails_at(kind, handle), answer, name, parameters, arguments)
#define ON_PATH(kind, name, parameters, arguments)                            \
    CALL(kind, fails(kind, path), int, name, parameters, arguments)

ON_HANDLE(READ, ssize_t, read, (int handle, void *data, size_t size), (handle, data, size))
ON_HANDLE(READ, ssize_t, pread64, (int handle, void *data, size_t size, off64_t at),
          (handle, data, size, at))
ON_HANDLE(WRITE, ssize_t, write, (int handle, const void *data, size_t size), (handle, data, size))
ON_HANDLE(WRITE, ssize_t, pwrite64, (int handle, const void *data, size_t size, off64_t at),
          (handle, data, size, at))
ON_HANDLE(WRITE, ssize_t, pwrite, (int handle, const void *data, size_t size, off_t at),
          (handle, data, size, at))
ON_HANDLE(WRITE, ssize_t, sendfile64, (int handle, int source, off64_t *at, size_t size),
          (handle, source, at, size))
ON_HANDLE(WRITE, ssize_t, writev, (int handle, const struct iovec *parts, int count),
          (handle, parts, count))
ON_HANDLE(FSYNC, int, fsync, (int handle), (handle))
ON_HANDLE(FSYNC, int, fdatasync, (int handle), (handle))
ON_HANDLE(TRUNCATE, int, ftruncate, (int handle, off_t size), (handle, size))
ON_HANDLE(TRUNCATE, int, ftruncate64, (int handle, off64_t size), (handle, size))
ON_HANDLE(FLOCK, int, flock, (int handle, int operation), (handle, operation))
ON_PATH(RENAME, rename, (const char *old, const char *path), (old, path))
ON_PATH(LINK, link, (const char *old, const char *path), (old, path))
ON_PATH(LINK, linkat, (int at, const char *old, int to, const char *path, int flags),
        (at, old, to, path, flags))
ON_PATH(STATVFS, statvfs64, (const char *path, struct statvfs64 *answer), (path, answer))
ON_PATH(STATVFS, statvfs, (const char *path, struct statvfs *answer), (path, answer))
ON_PATH(MKDIR, mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(UNLINK, unlink, (const char *path), (path))

int clock_gettime(clockid_t which, struct timespec *now) {
    REAL(clock_gettime);
    int answer = real(which, now);
    if (!answer && clock_step && which == CLOCK_REALTIME) {
        long long time = now->tv_sec * 1000000000LL + now->tv_nsec - (clock_back += clock_step);
        now->tv_sec = time / 1000000000LL;
        now->tv_nsec = time % 1000000000LL;
    }
    return answer;
}
