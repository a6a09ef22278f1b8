/* Readers of what comes from outside, each as a function of bytes: fuzz_<name> for every name of
 * FUZZ_TARGETS (set by CMakeLists.txt). Any bytes are fine: what is wrong is a crash, a hang, a
 * leak, what the sanitizers report, or a broken promise, for which a target aborts. With clang and
 * -DDLC_FUZZ=ON each is a libFuzzer program (entry.c); in every build fuzz_corpus (replay.c) runs
 * them on the files of corpus/<name>. */
#ifndef DLC_TESTS_FUZZ_TARGETS_H
#define DLC_TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

typedef int FuzzTarget(const uint8_t *data, size_t size);

#define X(name) FuzzTarget fuzz_##name;
FUZZ_TARGETS
#undef X

/* Aborts with what is broken. */
_Noreturn void fuzz_broken(const char *what);
/* A file with these bytes, in memory; the same path and the next bytes at the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

#endif
