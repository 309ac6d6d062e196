/* Runtime dispatch: choose the kernel built for this machine's instruction set.

It chooses the best instruction set that both the processor and the operating system support. */

#include "api.h"
#include <string.h>

#define TABLE(isa) extern const Kernel kernel_##isa##_exact, kernel_##isa##_float32;
#ifdef HAVE_avx512
TABLE(avx512)
#endif
#ifdef HAVE_avx2
TABLE(avx2)
#endif
#ifdef HAVE_plain
TABLE(plain)
#endif

#if defined(HAVE_avx512) || defined(HAVE_avx2)
#include <cpuid.h>

/* Return whether the processor has AVX2 and fma (wide: AVX-512), and the operating system saves their registers. This
uses cpuid directly, because __builtin_cpu_supports always returns 0 when zig links. */
static int has_avx(int wide) {
    unsigned a, b, c, d, saved, high;
    const unsigned fma_xsave_avx = 1u << 12 | 1u << 27 | 1u << 28,
                   avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & fma_xsave_avx) != fma_xsave_avx) return 0;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    const unsigned registers = wide ? 0xe6 : 0x06;
    if ((saved & registers) != registers || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & 1u << 5) && (!wide || (b & avx512_f_dq_bw_vl) == avx512_f_dq_bw_vl);
}
#endif

/* isa: the name of an instruction set, or NULL for the best one. Returns NULL if this machine does not support isa, or the
library was compiled without it. */
__attribute__((visibility("default"))) const Kernel *microgpt_kernel(int exact, const char *isa) {
#define OFFER(name, works)                                                                                             \
    if ((isa ? !strcmp(isa, #name) : 1) && (works)) return exact ? &kernel_##name##_exact : &kernel_##name##_float32;
#ifdef HAVE_avx512
    OFFER(avx512, has_avx(1))
#endif
#ifdef HAVE_avx2
    OFFER(avx2, has_avx(0))
#endif
#ifdef HAVE_plain
    OFFER(plain, 1)
#endif
    return NULL;
}
