// Preloaded into a process, it counts the calls by which files below a folder are made to last, and at the
// n-th of them the process dies, or the disk is full from there on.
//
// FAULT_BELOW: the folder. FAULT_AT: n, from 1. FAULT: "exit" or "full". FAULT_COUNT: a file for the count.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;

static int is_below(const char* path) {
    const char* folder = getenv("FAULT_BELOW");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_path_below(const char* path) {
    char whole[8192];
    if (path[0] == '/') return is_below(path);
    if (!getcwd(whole, 4096)) return 0;
    strcat(whole, "/");
    strncat(whole, path, 4000);
    return is_below(whole);
}

static int is_file_below(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
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

ssize_t write(int file, const void* data, size_t size) {
    const char *at = getenv("FAULT_AT"), *fault = getenv("FAULT");
    int concerns = is_file_below(file);
    if (concerns && at && fault && strcmp(fault, "exit") == 0 && atomic_load(&calls) + 1 == atol(at))
        REAL(write)(file, data, size / 2);  // the half that came to be written
    if (strikes(concerns)) FULL(-1);
    return REAL(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec* parts, int count) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(writev)(file, parts, count);
}

ssize_t pwrite(int file, const void* data, size_t size, off_t place) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(pwrite)(file, data, size, place);
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t place) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(pwrite64)(file, data, size, place);
}

size_t fwrite(const void* data, size_t size, size_t count, FILE* stream) {
    if (strikes(is_file_below(fileno(stream)))) FULL(0);
    return REAL(fwrite)(data, size, count, stream);
}

int ftruncate(int file, off_t size) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(ftruncate)(file, size);
}

int ftruncate64(int file, off64_t size) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(ftruncate64)(file, size);
}

int fsync(int file) {
    if (strikes(is_file_below(file))) FULL(-1);
    return REAL(fsync)(file);
}

int mkdir(const char* path, mode_t mode) {
    if (strikes(is_path_below(path))) FULL(-1);
    return REAL(mkdir)(path, mode);
}

// A rename needs no space, so a full disk lets it pass.
int rename(const char* from, const char* to) {
    strikes(is_path_below(to));
    return REAL(rename)(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
    strikes(is_path_below(to));
    return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}
