/* The processor table. Levels are those of the x86-64 psABI, and one for AVX without AVX2. */
#include "codegen/cpu.h"

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <string.h>

#include "base/diag.h"

#define V2 "sse3,ssse3,sse4.1,sse4.2,popcnt"
#define AVX "avx," V2
#define V3 "avx2,fma,bmi,bmi2,f16c,lzcnt,movbe," AVX
#define V4 "avx512f,avx512vl,avx512bw,avx512dq,avx512cd," V3

enum { LEVEL_1, LEVEL_2, LEVEL_AVX, LEVEL_3, LEVEL_4, LEVELS };

static const Cpu level_cpu[LEVELS] = {
    [LEVEL_1] = {"x86-64", "x86-64", "", "", 16, 16, false, false},
    [LEVEL_2] = {"x86-64-v2", "x86-64", "", V2, 16, 16, false, false},
    [LEVEL_AVX] = {"x86-64-v2", "sandybridge", "+avx", AVX, 32, 16, true, false},
    [LEVEL_3] = {"x86-64-v3", "haswell", "", V3, 32, 16, true, true},
    [LEVEL_4] = {"x86-64-v4", "skylake-avx512", "", V4, 64, 32, true, true},
};

static const struct {
  const char *name;
  int level;
} names[] = {
    {"x86-64", LEVEL_1},
    {"generic", LEVEL_1},
    {"x86-64-v2", LEVEL_2},
    {"x86-64-v3", LEVEL_3},
    {"x86-64-v4", LEVEL_4},
    {"core2", LEVEL_1},
    {"k8", LEVEL_1},
    {"nehalem", LEVEL_2},
    {"westmere", LEVEL_2},
    {"silvermont", LEVEL_2},
    {"goldmont", LEVEL_2},
    {"tremont", LEVEL_2},
    {"sandybridge", LEVEL_AVX},
    {"ivybridge", LEVEL_AVX},
    {"btver2", LEVEL_AVX},
    {"bdver1", LEVEL_AVX},
    {"bdver2", LEVEL_AVX},
    {"haswell", LEVEL_3},
    {"broadwell", LEVEL_3},
    {"skylake", LEVEL_3},
    {"alderlake", LEVEL_3},
    {"raptorlake", LEVEL_3},
    {"meteorlake", LEVEL_3},
    {"gracemont", LEVEL_3},
    {"sierraforest", LEVEL_3},
    {"arrowlake", LEVEL_3},
    {"lunarlake", LEVEL_3},
    {"znver1", LEVEL_3},
    {"znver2", LEVEL_3},
    {"znver3", LEVEL_3},
    {"skylake-avx512", LEVEL_4},
    {"cascadelake", LEVEL_4},
    {"cooperlake", LEVEL_4},
    {"cannonlake", LEVEL_4},
    {"icelake-client", LEVEL_4},
    {"icelake-server", LEVEL_4},
    {"tigerlake", LEVEL_4},
    {"rocketlake", LEVEL_4},
    {"sapphirerapids", LEVEL_4},
    {"emeraldrapids", LEVEL_4},
    {"graniterapids", LEVEL_4},
    {"znver4", LEVEL_4},
};
enum { NAMES = sizeof names / sizeof *names };

/* Whether `list` ("+sse2,-avx,...") turns on every feature of `wanted` ("avx,sse4.2"). */
static bool has_all(Arena *a, const char *list, const char *wanted) {
  const char *padded = arena_printf(a, "%s,", list);
  for (const char *w = wanted; *w;) {
    size_t n = strcspn(w, ",");
    if (!strstr(padded, arena_printf(a, "+%.*s,", (int)n, w))) return false;
    w += n + (w[n] == ',');
  }
  return true;
}

static Cpu host_cpu(Arena *a) {
  char *features = LLVMGetHostCPUFeatures(), *name = LLVMGetHostCPUName();
  int level = LEVEL_4;
  while (level > LEVEL_1 && !has_all(a, features, level_cpu[level].features)) level--;
  Cpu cpu = level_cpu[level];
  cpu.tune = arena_strdup(a, name);
  LLVMDisposeMessage(features);
  LLVMDisposeMessage(name);
  return cpu;
}

static bool same_architecture(const char *triple) {
  char *host = LLVMGetDefaultTargetTriple();
  size_t n = strcspn(host, "-");
  bool same = strcspn(triple, "-") == n && !strncmp(host, triple, n);
  LLVMDisposeMessage(host);
  return same;
}

static bool unknown(Arena *a, const char *name, const char **why) {
  const char *list[NAMES];
  for (int i = 0; i < NAMES; i++) list[i] = names[i].name;
  const char *near = near_name(name, list, NAMES);
  *why = near ? arena_printf(a, "unknown processor '%s'; did you mean '%s'?", name, near)
              : arena_printf(a, "unknown processor '%s'", name);
  return false;
}

/* Other architectures: 128-bit vectors, which AArch64 (NEON) has in 32 registers and with fused
 * multiply-add. */
static bool other_architecture(Arena *a, const char *triple, const char *name, Cpu *out,
                               const char **why) {
  bool arm = !strncmp(triple, "aarch64", 7) || !strncmp(triple, "arm64", 5);
  *out = (Cpu){"generic", "generic", "", "", 16, arm ? 32 : 16, false, arm};
  if (!name || !strcmp(name, "generic")) return true;
  if (!strcmp(name, "native") && same_architecture(triple)) return true;
  *why =
      arena_printf(a, "unknown processor '%s' for %s; only 'generic' is known there", name, triple);
  return false;
}

bool cpu_find(Arena *a, const char *triple, const char *name, Cpu *out, const char **why) {
  if (strncmp(triple, "x86_64", 6)) return other_architecture(a, triple, name, out, why);
  bool native = !name || !strcmp(name, "native");
  if (native && same_architecture(triple)) return *out = host_cpu(a), true;
  if (native) return *out = level_cpu[LEVEL_1], true;
  for (int i = 0; i < NAMES; i++)
    if (!strcmp(names[i].name, name)) {
      *out = level_cpu[names[i].level];
      out->tune = strcmp(name, "generic") ? names[i].name : "x86-64";
      return true;
    }
  return unknown(a, name, why);
}
