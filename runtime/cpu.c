/* What this processor offers, by LLVM's feature names. A vector extension counts only when the
 * operating system saves its registers too (XCR0). A name that is not in the table counts as
 * missing: better refused than SIGILL. */
#include <string.h>

#include "runtime/rt.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };
enum { XCR_NONE = 0, XCR_AVX = 0x6, XCR_AVX512 = 0xe6, XCR_AMX = 0x60006 };

typedef struct {
  const char *name;
  uint32_t leaf, subleaf;
  uint8_t reg, bit;
  uint32_t xcr;
} Feature;

static const Feature feature_table[] = {
    {"x87", 1, 0, EDX, 0, 0},
    {"evex512", 7, 0, EBX, 16, XCR_AVX512},
    {"cx8", 1, 0, EDX, 8, 0},
    {"cmov", 1, 0, EDX, 15, 0},
    {"mmx", 1, 0, EDX, 23, 0},
    {"fxsr", 1, 0, EDX, 24, 0},
    {"sse", 1, 0, EDX, 25, 0},
    {"sse2", 1, 0, EDX, 26, 0},
    {"sse3", 1, 0, ECX, 0, 0},
    {"pclmul", 1, 0, ECX, 1, 0},
    {"ssse3", 1, 0, ECX, 9, 0},
    {"fma", 1, 0, ECX, 12, XCR_AVX},
    {"cx16", 1, 0, ECX, 13, 0},
    {"sse4.1", 1, 0, ECX, 19, 0},
    {"sse4.2", 1, 0, ECX, 20, 0},
    {"crc32", 1, 0, ECX, 20, 0},
    {"movbe", 1, 0, ECX, 22, 0},
    {"popcnt", 1, 0, ECX, 23, 0},
    {"aes", 1, 0, ECX, 25, 0},
    {"xsave", 1, 0, ECX, 26, 0},
    {"avx", 1, 0, ECX, 28, XCR_AVX},
    {"f16c", 1, 0, ECX, 29, XCR_AVX},
    {"rdrnd", 1, 0, ECX, 30, 0},
    {"fsgsbase", 7, 0, EBX, 0, 0},
    {"sgx", 7, 0, EBX, 2, 0},
    {"bmi", 7, 0, EBX, 3, 0},
    {"avx2", 7, 0, EBX, 5, XCR_AVX},
    {"bmi2", 7, 0, EBX, 8, 0},
    {"invpcid", 7, 0, EBX, 10, 0},
    {"rtm", 7, 0, EBX, 11, 0},
    {"avx512f", 7, 0, EBX, 16, XCR_AVX512},
    {"avx512dq", 7, 0, EBX, 17, XCR_AVX512},
    {"rdseed", 7, 0, EBX, 18, 0},
    {"adx", 7, 0, EBX, 19, 0},
    {"avx512ifma", 7, 0, EBX, 21, XCR_AVX512},
    {"clflushopt", 7, 0, EBX, 23, 0},
    {"clwb", 7, 0, EBX, 24, 0},
    {"avx512cd", 7, 0, EBX, 28, XCR_AVX512},
    {"sha", 7, 0, EBX, 29, 0},
    {"avx512bw", 7, 0, EBX, 30, XCR_AVX512},
    {"avx512vl", 7, 0, EBX, 31, XCR_AVX512},
    {"avx512vbmi", 7, 0, ECX, 1, XCR_AVX512},
    {"pku", 7, 0, ECX, 4, 0},
    {"waitpkg", 7, 0, ECX, 5, 0},
    {"avx512vbmi2", 7, 0, ECX, 6, XCR_AVX512},
    {"shstk", 7, 0, ECX, 7, 0},
    {"gfni", 7, 0, ECX, 8, 0},
    {"vaes", 7, 0, ECX, 9, XCR_AVX},
    {"vpclmulqdq", 7, 0, ECX, 10, XCR_AVX},
    {"avx512vnni", 7, 0, ECX, 11, XCR_AVX512},
    {"avx512bitalg", 7, 0, ECX, 12, XCR_AVX512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, XCR_AVX512},
    {"rdpid", 7, 0, ECX, 22, 0},
    {"cldemote", 7, 0, ECX, 25, 0},
    {"movdiri", 7, 0, ECX, 27, 0},
    {"movdir64b", 7, 0, ECX, 28, 0},
    {"avx512vp2intersect", 7, 0, EDX, 8, XCR_AVX512},
    {"serialize", 7, 0, EDX, 14, 0},
    {"amx-bf16", 7, 0, EDX, 22, XCR_AMX},
    {"avx512fp16", 7, 0, EDX, 23, XCR_AVX512},
    {"amx-tile", 7, 0, EDX, 24, XCR_AMX},
    {"amx-int8", 7, 0, EDX, 25, XCR_AMX},
    {"avxvnni", 7, 1, EAX, 4, XCR_AVX},
    {"avx512bf16", 7, 1, EAX, 5, XCR_AVX512},
    {"avxifma", 7, 1, EAX, 23, XCR_AVX},
    {"xsaveopt", 0xd, 1, EAX, 0, 0},
    {"xsavec", 0xd, 1, EAX, 1, 0},
    {"xsaves", 0xd, 1, EAX, 3, 0},
    {"sahf", 0x80000001, 0, ECX, 0, 0},
    {"lzcnt", 0x80000001, 0, ECX, 5, 0},
    {"sse4a", 0x80000001, 0, ECX, 6, 0},
    {"prfchw", 0x80000001, 0, ECX, 8, 0},
    {"xop", 0x80000001, 0, ECX, 11, XCR_AVX},
    {"fma4", 0x80000001, 0, ECX, 16, XCR_AVX},
    {"tbm", 0x80000001, 0, ECX, 21, 0},
    {"mwaitx", 0x80000001, 0, ECX, 29, 0},
    {"64bit", 0x80000001, 0, EDX, 29, 0},
    {"clzero", 0x80000008, 0, EBX, 0, 0},
    {"rdpru", 0x80000008, 0, EBX, 4, 0},
    {"wbnoinvd", 0x80000008, 0, EBX, 9, 0},
};

static uint32_t enabled_state(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* OSXSAVE */
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int feature_here(const Feature *f) {
  uint32_t r[4];
  if (!__get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX])) return 0;
  if (!(r[f->reg] >> f->bit & 1)) return 0;
  return !f->xcr || (enabled_state() & f->xcr) == f->xcr;
}

static int cpu_has(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof feature_table / sizeof *feature_table; i++) {
    const Feature *f = &feature_table[i];
    if (strlen(f->name) == length && memcmp(f->name, name, length) == 0) return feature_here(f);
  }
  return 0;
}
#else
static int cpu_has(const char *name, size_t length) { return (void)name, (void)length, 0; }
#endif

const char *cpu_missing(const char *features, size_t *length) {
  while (features && *features) {
    *length = strcspn(features, ",");
    int plus = *features == '+';
    if (*length > (size_t)plus && !cpu_has(features + plus, *length - (size_t)plus))
      return features;
    features += *length;
    if (*features) features++;
  }
  return NULL;
}
