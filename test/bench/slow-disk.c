/*
 * A disk whose every flush takes some milliseconds longer: loaded before the relay by LD_PRELOAD.
 * cc -shared -fPIC -O2 -o slow-disk.so slow-disk.c -ldl; SLOW_DISK_US says how much longer, default 5000.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int fd) {
  const char *wanted = getenv("SLOW_DISK_US");
  long us = wanted ? atol(wanted) : 5000;
  struct timespec pause = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&pause, NULL);
  int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return flush(fd);
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
