/* Lets system calls on files of one folder fail, in a process that knows nothing of it (LD_PRELOAD).
 *
 * FAULT_FOLDER  files whose path begins so
 * FAULT_CALLS   which calls, separated by commas: write, sync, rename, map
 * FAULT_AT      the first of them that fails, from 0
 * FAULT_TIMES   how many fail
 * FAULT_ERROR   the error number that they fail with
 * FAULT_COUNT   instead of failing, a file that gets one byte a call */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char *name)
{
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static int is_chosen(const char *call)
{
    const char *chosen = getenv("FAULT_CALLS"), *at = chosen ? strstr(chosen, call) : NULL;
    return at && (at[strlen(call)] == ',' || at[strlen(call)] == 0);
}

/* Whether this call on a path has to fail; errno is set then. */
static int fails(const char *call, const char *path)
{
    const char *folder = getenv("FAULT_FOLDER"), *count = getenv("FAULT_COUNT");
    if (!folder || strncmp(path, folder, strlen(folder)) != 0 || !is_chosen(call))
        return 0;
    long turn = atomic_fetch_add(&calls, 1);
    if (count) {
        int file = open(count, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dprintf(file, "x");
        close(file);
        return 0;
    }
    if (turn < number("FAULT_AT") || turn >= number("FAULT_AT") + number("FAULT_TIMES"))
        return 0;
    errno = (int)number("FAULT_ERROR");
    return 1;
}

static int fails_on(const char *call, int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* dprintf of FAULT_COUNT may come here: its file is in no FAULT_FOLDER. */
ssize_t write(int file, const void *bytes, size_t count)
{
    return fails_on("write", file) ? -1 : REAL(write)(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *slices, int count)
{
    return fails_on("write", file) ? -1 : REAL(writev)(file, slices, count);
}

int fsync(int file)
{
    return fails_on("sync", file) ? -1 : REAL(fsync)(file);
}

int fdatasync(int file)
{
    return fails_on("sync", file) ? -1 : REAL(fdatasync)(file);
}

int rename(const char *from, const char *to)
{
    return fails("rename", from) ? -1 : REAL(rename)(from, to);
}

void *mmap(void *place, size_t length, int protection, int flags, int file, off_t offset)
{
    return file >= 0 && fails_on("map", file) ? MAP_FAILED : REAL(mmap)(place, length, protection, flags, file, offset);
}

void *mmap64(void *place, size_t length, int protection, int flags, int file, off64_t offset)
{
    return file >= 0 && fails_on("map", file) ? MAP_FAILED : REAL(mmap64)(place, length, protection, flags, file, offset);
}
