// Preloaded into a process, it counts the calls by which files below a folder are made to last, and at the
// n-th of them the process dies, or the disk is full from there on.
//
// FAULT_BELOW: the folder. FAULT_AT: n, from 1. FAULT: "exit" or "full". FAULT_COUNT: a file for the count.
// FAULT_LOG: a file, outside of the folder, for a line per write, fsync and rename: what it was and its path, and
// the inode of what was written or flushed, or the new path; with tabs between.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static int is_below(const char* path) {
    const char* folder = getenv("FAULT_BELOW");
    size_t length = folder ? strlen(folder) : 0;
    return folder && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// The path from the root, in `whole` of 8192 bytes; empty where there is none.
static const char* from_root(const char* path, char* whole) {
    whole[0] = 0;
    if (path[0] != '/') {
        if (!getcwd(whole, 4096)) return whole;
        strcat(whole, "/");
    }
    return strncat(whole, path, 4000);
}

static const char* of_file(int file, char* path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, 4095);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static int is_path_below(const char* path) {
    char whole[8192];
    return is_below(from_root(path, whole));
}

static int is_file_below(int file) {
    char path[4096];
    return is_below(of_file(file, path));
}

// 0: nothing happens; 1: the disk is full; does not return where the process dies.
static int strikes(int concerns) {
    const char *at = getenv("FAULT_AT"), *fault = getenv("FAULT");
    if (!concerns) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (!at || !fault) return 0;
    if (strcmp(fault, "full") == 0) return call >= atol(at);
    if (call == atol(at)) _exit(137);
    return 0;
}

__attribute__((destructor)) static void tell(void) {
    const char* name = getenv("FAULT_COUNT");
    FILE* file = name ? fopen(name, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld", (long)calls);
    fclose(file);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FULL(result) return errno = ENOSPC, (result)

static void log_line(const char* what, const char* path, const char* more) {
    const char* name = getenv("FAULT_LOG");
    if (!name || !is_below(path)) return;
    char line[16500];
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, more);
    int before = errno, log = open(name, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (log >= 0) {
        REAL(write)(log, line, length);  // whole, though other threads do so as well
        close(log);
    }
    errno = before;
}

static void log_file(const char* what, int file) {
    char path[4096], number[32];
    struct stat stat;
    if (!getenv("FAULT_LOG") || fstat(file, &stat) != 0) return;
    snprintf(number, sizeof number, "%lu", (unsigned long)stat.st_ino);
    log_line(what, of_file(file, path), number);
}

static void log_rename(const char* what, const char* from, const char* to) {
    char whole_from[8192], whole_to[8192];
    log_line(what, from_root(from, whole_from), from_root(to, whole_to));
}

// A write is logged when it is over, a flush before it begins, so that none counts for what came amid it.
#define WRITTEN(file, call)                        \
    do {                                           \
        __typeof__(call) result_ = (call);         \
        log_file("write", file);                   \
        return result_;                            \
    } while (0)

ssize_t write(int file, const void* data, size_t size) {
    const char *at = getenv("FAULT_AT"), *fault = getenv("FAULT");
    int concerns = is_file_below(file);
    if (concerns && at && fault && strcmp(fault, "exit") == 0 && atomic_load(&calls) + 1 == atol(at))
        REAL(write)(file, data, size / 2);  // the half that came to be written
    if (strikes(concerns)) FULL(-1);
    WRITTEN(file, REAL(write)(file, data, size));
}

ssize_t writev(int file, const struct iovec* parts, int count) {
    if (strikes(is_file_below(file))) FULL(-1);
    WRITTEN(file, REAL(writev)(file, parts, count));
}

ssize_t pwrite(int file, const void* data, size_t size, off_t place) {
    if (strikes(is_file_below(file))) FULL(-1);
    WRITTEN(file, REAL(pwrite)(file, data, size, place));
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t place) {
    if (strikes(is_file_below(file))) FULL(-1);
    WRITTEN(file, REAL(pwrite64)(file, data, size, place));
}

size_t fwrite(const void* data, size_t size, size_t count, FILE* stream) {
    if (strikes(is_file_below(fileno(stream)))) FULL(0);
    WRITTEN(fileno(stream), REAL(fwrite)(data, size, count, stream));
}

int ftruncate(int file, off_t size) {
    if (strikes(is_file_below(file))) FULL(-1);
    WRITTEN(file, REAL(ftruncate)(file, size));
}

int ftruncate64(int file, off64_t size) {
    if (strikes(is_file_below(file))) FULL(-1);
    WRITTEN(file, REAL(ftruncate64)(file, size));
}

int fsync(int file) {
    if (strikes(is_file_below(file))) FULL(-1);
    log_file("fsync", file);
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    if (strikes(is_file_below(file))) FULL(-1);
    log_file("fsync", file);
    return REAL(fdatasync)(file);
}

int mkdir(const char* path, mode_t mode) {
    if (strikes(is_path_below(path))) FULL(-1);
    return REAL(mkdir)(path, mode);
}

// A rename needs no space, so a full disk lets it pass.
int rename(const char* from, const char* to) {
    strikes(is_path_below(to));
    int result = REAL(rename)(from, to);
    if (result == 0) log_rename("rename", from, to);
    return result;
}

// Of these two the folders are AT_FDCWD, or the paths begin at the root.
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
    strikes(is_path_below(to));
    int result = REAL(renameat)(from_folder, from, to_folder, to);
    if (result == 0) log_rename("rename", from, to);
    return result;
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
    strikes(is_path_below(to));
    int result = REAL(renameat2)(from_folder, from, to_folder, to, flags);
    if (result == 0) log_rename(flags & RENAME_EXCHANGE ? "exchange" : "rename", from, to);
    return result;
}
