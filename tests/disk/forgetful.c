/* A disk that keeps only what was synced.
 *
 * Loaded before the C library (LD_PRELOAD), it stands between a program and the files of one folder.
 * The program writes and reads as always. Beside it, in a second folder, lies what a power cut would
 * leave: a write gets there when its file is synced, and a name when its folder is. After the kill
 * the test lays that over the real files.
 *
 *   FORGETFUL_FOLDER  the folder whose files are watched, as an absolute path
 *   FORGETFUL_KEPT    where what is safe is kept: content/NAME and names/NAME
 *   FORGETFUL_LIES    if it is set, a sync does nothing and says that all is well
 *
 * The kept bytes are read back from the real file, so what another thread writes while a sync is on
 * its way may be kept too: a disk may do that. All is under one lock, because a write that was begun
 * after the sync has returned must not be.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Files that are watched, and spans of each that wait for a sync; more spans become one. */
#define FILES_MAX 16
#define SPANS_MAX 4096
#define NAME_BYTES_MAX 256

struct span {
    off_t from, to;
};

struct file {
    dev_t device;
    ino_t inode;
    char name[NAME_BYTES_MAX];
    int spans;
    struct span span[SPANS_MAX];
};

static struct file files[FILES_MAX];
static int known;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static const char *folder, *kept;
static int lies;

__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    folder = getenv("FORGETFUL_FOLDER");
    kept = getenv("FORGETFUL_KEPT");
    lies = getenv("FORGETFUL_LIES") != NULL;
}

/* A disk that cannot keep its promise must not go on. */
static void must(int done, const char *what) {
    if (!done) {
        perror(what);
        abort();
    }
}

/* The path behind a descriptor. */
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* The watched file behind a descriptor. With the lock in hand. */
static struct file *file_of(int fd) {
    struct stat is;
    if (!folder || fstat(fd, &is) != 0 || !S_ISREG(is.st_mode)) return NULL;
    for (int i = 0; i < known; i++)
        if (files[i].inode == is.st_ino && files[i].device == is.st_dev) return &files[i];
    char path[PATH_MAX];
    if (!path_of(fd, path)) return NULL;
    const char *name = strrchr(path, '/');
    size_t before = name - path;
    if (before != strlen(folder) || strncmp(path, folder, before) != 0) return NULL;
    /* The shared index of the log is memory, not disk: after a power cut it is made again. */
    if (strstr(name, "-shm")) return NULL;
    must(known < FILES_MAX && strlen(name) < NAME_BYTES_MAX, "forgetful: too many files");
    struct file *file = &files[known++];
    file->device = is.st_dev;
    file->inode = is.st_ino;
    strcpy(file->name, name + 1);
    return file;
}

static void remember(struct file *file, off_t from, off_t to) {
    if (!file || to <= from) return;
    struct span *last = file->spans ? &file->span[file->spans - 1] : NULL;
    if (last && from == last->to) {
        last->to = to;
    } else if (file->spans < SPANS_MAX) {
        file->span[file->spans++] = (struct span){from, to};
    } else {
        for (int i = 0; i < file->spans; i++) {
            if (file->span[i].from < from) from = file->span[i].from;
            if (file->span[i].to > to) to = file->span[i].to;
        }
        file->span[0] = (struct span){from, to};
        file->spans = 1;
    }
}

static int kept_file(const char *kind, const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/%s", kept, kind, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    return fd;
}

static void keep_content(int fd, struct file *file) {
    static char bytes[1 << 16];
    char path[PATH_MAX];
    struct stat is;
    /* The descriptor may be for writing only. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = kept_file("content", file->name);
    must(from >= 0 && fstat(fd, &is) == 0, file->name);
    for (int i = 0; i < file->spans; i++) {
        off_t at = file->span[i].from;
        while (at < file->span[i].to) {
            size_t want = file->span[i].to - at;
            ssize_t got = pread(from, bytes, want < sizeof bytes ? want : sizeof bytes, at);
            if (got == 0) break; /* It was cut off since. */
            must(got > 0 && real_pwrite(to, bytes, got, at) == got, file->name);
            at += got;
        }
    }
    must(real_ftruncate(to, is.st_size) == 0, file->name);
    file->spans = 0;
    close(from);
    close(to);
}

/* The names in the folder are safe from now on, and those that are gone are gone. */
static void keep_names(void) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/names", kept);
    DIR *names = opendir(path);
    must(names != NULL, path);
    for (struct dirent *it; (it = readdir(names));) {
        snprintf(path, sizeof path, "%s/%s", folder, it->d_name);
        if (it->d_name[0] != '.' && access(path, F_OK) != 0) unlinkat(dirfd(names), it->d_name, 0);
    }
    closedir(names);
    DIR *real = opendir(folder);
    must(real != NULL, folder);
    for (struct dirent *it; (it = readdir(real));)
        if (it->d_type != DT_DIR) close(kept_file("names", it->d_name));
    closedir(real);
}

static int sync_with(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!folder) return real(fd);
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    int is_folder = !file && path_of(fd, path) && strcmp(path, folder) == 0;
    if (file && !lies) keep_content(fd, file);
    if (is_folder && !lies) keep_names();
    pthread_mutex_unlock(&lock);
    return file || is_folder ? 0 : real(fd);
}

int fsync(int fd) { return sync_with(fd, real_fsync); }

int fdatasync(int fd) { return sync_with(fd, real_fdatasync); }

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    ssize_t done = real_pwrite(fd, bytes, length, at);
    if (done > 0) remember(file, at, at + done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return pwrite64(fd, bytes, length, at);
}

/* For what is written where the descriptor stands. Not for pipes and sockets, which may wait. */
static struct file *standing(int fd) {
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    if (!file) pthread_mutex_unlock(&lock);
    return file;
}

static ssize_t wrote(int fd, struct file *file, ssize_t done) {
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (done > 0) remember(file, end - done, end);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct file *file = standing(fd);
    ssize_t done = real_write(fd, bytes, length);
    return file ? wrote(fd, file, done) : done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct file *file = standing(fd);
    ssize_t done = real_writev(fd, parts, count);
    return file ? wrote(fd, file, done) : done;
}

/* A sync keeps the length. What was cut off may be there again by then, with other bytes. */
int ftruncate64(int fd, off_t length) {
    struct stat before;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    must(!file || fstat(fd, &before) == 0, "forgetful: a length");
    int done = real_ftruncate(fd, length);
    if (file && done == 0) remember(file, length, before.st_size);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
