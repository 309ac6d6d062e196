/* The native engine: forward, backward and Adam of reference.py by hand, without a graph.

One source, compiled several times. Each compilation is one precision for one instruction set and gives one table of
functions (struct Kernel below); the last compilation, with DISPATCH defined, picks the best table for this machine.

    -DEXACT=1    float64, bit for bit the reference: SIMD runs across outputs and never along a sum, each sum is added in
                 the reference's order, nothing is contracted (-ffp-contract=off), exp, log and pow are those of libm.
    -DEXACT=0    float32, as fast as the machine goes: fma, an exp of our own, reciprocal square roots.
                 With -DFLOAT64=1 the same in float64: `exact` in WebAssembly, where no libm of Python's is to be followed.

How a pass works. The positions of a document (float32: of several documents) are the rows of matrices; a row is padded
with zeros to whole vectors. A linear layer keeps its weights twice, as they are (a row for each output) and transposed:
forward reads the transposed ones, backward the others, so that both stream along contiguous outputs.

The order in which the reference adds gradients (reversed post-order of its graph) is, for every sum of more than two terms:
    - positions descending, since everything of position t is reached from its loss and never from an earlier one;
    - into the input of a linear layer: its rows descending; in lm_head the target's row comes last;
    - into the input of attn_wq, attn_wk, attn_wv: heads descending, in a head the rows of v, then k, then q, each
      descending; at a document's first position, where the one key is still unseen when the first query is walked, the
      rows of k and q take turns;
    - into a query: the positions it looked at, descending; into a softmax's total: the same, each term by its own 1/total;
    - into the input of an rmsnorm: first what came by the residual, then scale * dy, then twice the square's share.
A sum() of the reference starts with its first term: here it starts from -0.0, to which adding anything is that thing; a
gradient starts from 0.0. */

#ifndef __wasm__
#include <pthread.h>
#include <time.h>
#endif
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What a caller gives and gets: flat buffers of float64 in the layout of config.shapes, token ids end to end. */
typedef struct Net Net;
typedef struct Decoder Decoder;

typedef struct {
    int n_embd, n_head, n_layer, block_size, vocab_size, relu2;
    double beta1, beta2, eps_adam;
    int threads;
} Settings;

typedef struct { /* documents, end to end: document i is lengths[i] tokens */
    const int32_t *tokens, *lengths;
} Documents;

typedef struct {
    const char *name;
    Net *(*open)(const Settings *);
    void (*close)(Net *);
    void (*load)(Net *, const double *params, const double *m, const double *v);
    void (*store)(const Net *, double *params, double *m, double *v);
    int (*backward)(Net *, double *grads, Documents, int documents, double weight, double *loss);
    int (*train)(Net *, Documents, const int32_t *batch_sizes, const double *learning_rates, int64_t step, int steps,
                 double seconds, double *losses);
    void (*update)(const Net *, double *params, double *grads, double *m, double *v, int64_t n, int64_t step, double lr);
    Decoder *(*decoder)(const Net *, int streams);
    void (*decoder_close)(Decoder *);
    void (*feed)(Decoder *, const int32_t *token_ids, double *logits);
    void (*rewind)(Decoder *);
} Kernel;

#ifdef DISPATCH
/* --- The one compilation that is no kernel: which table is the best here? ------------------------------------------- */

#define TABLE(isa) extern const Kernel kernel_##isa##_exact, kernel_##isa##_float32;
#ifdef HAVE_X86
TABLE(avx512) TABLE(avx2)
#endif
TABLE(plain)

#ifdef HAVE_X86
#include <cpuid.h>

/* What the processor can do and the operating system saves. (__builtin_cpu_supports answers no wherever zig links.) */
static int has_avx(int wide) {
    unsigned a, b, c, d, saved, high;
    const unsigned fma_xsave_avx = 1u << 12 | 1u << 27 | 1u << 28, avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & fma_xsave_avx) != fma_xsave_avx) return 0;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    const unsigned registers = wide ? 0xe6 : 0x06;
    if ((saved & registers) != registers || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & 1u << 5) && (!wide || (b & avx512_f_dq_bw_vl) == avx512_f_dq_bw_vl);
}
#endif

/* isa: the name of an instruction set, or NULL for the best that this machine has; NULL where it is not here. */
__attribute__((visibility("default"))) const Kernel *microgpt_kernel(int exact, const char *isa) {
#define OFFER(name, works)                                                                                             \
    if ((isa ? !strcmp(isa, #name) : 1) && (works)) return exact ? &kernel_##name##_exact : &kernel_##name##_float32;
#ifdef HAVE_X86
    OFFER(avx512, has_avx(1))
    OFFER(avx2, has_avx(0))
#endif
    OFFER(plain, 1)
    return NULL;
}

#else
/* --- Vectors -------------------------------------------------------------------------------------------------------- */

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#define UNROLL4 _Pragma("unroll 4")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL4 _Pragma("GCC unroll 4")
#endif

#ifndef FLOAT64
#define FLOAT64 EXACT
#endif

#if FLOAT64
typedef double real;
typedef int64_t bits;
#else
typedef float real;
typedef int32_t bits;
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS 32
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define REGISTERS 16
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define REGISTERS 32
#else
#define VECTOR_BYTES 16
#define REGISTERS 16
#endif

enum { LANES = VECTOR_BYTES / sizeof(real) };
typedef real vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef bits ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));

INLINE vec load(const real *p) { return *(const vec *)p; }
INLINE void store(real *p, vec x) { *(vec *)p = x; }
INLINE vec all(real x) { return x - (vec){0}; } /* minus, since -0.0 + 0.0 would lose its sign */
INLINE int padded(int n) { return (n + LANES - 1) / LANES * LANES; }

INLINE ivec lane_numbers(void) {
    ivec n;
    for (int i = 0; i < LANES; i++) n[i] = i;
    return n;
}

/* x with lanes i and i ^ k exchanged */
INLINE vec exchanged(vec x, const int k) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i ^ k];
    return y;
#else
    return __builtin_shuffle(x, lane_numbers() ^ (bits)k);
#endif
}

/* a where a > b, else b: in relu, 0 for what is no number, as in Python's max(0.0, x). */
INLINE vec larger(vec a, vec b) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && FLOAT64
    return (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
    return (vec)(FLOAT64 ? wasm_f64x2_pmax((v128_t)b, (v128_t)a) : wasm_f32x4_pmax((v128_t)b, (v128_t)a));
#else
    const ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
#endif
}

/* x where the condition's lane is positive, else 0 */
INLINE vec where_positive(vec condition, vec x) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)condition, _mm512_setzero_pd(), _CMP_GT_OQ), (__m512d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)condition, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)x);
#else
    return (vec)((condition > (vec){0}) & (ivec)x);
#endif
}

INLINE vec square_root(vec x) {
#if defined(__AVX512F__) && FLOAT64
    return (vec)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__) && FLOAT64
    return (vec)_mm256_sqrt_pd((__m256d)x);
#elif defined(__AVX2__)
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__) && FLOAT64
    return (vec)_mm_sqrt_pd((__m128d)x);
#elif defined(__SSE2__)
    return (vec)_mm_sqrt_ps((__m128)x);
#elif defined(__wasm_simd128__)
    return (vec)(FLOAT64 ? wasm_f64x2_sqrt((v128_t)x) : wasm_f32x4_sqrt((v128_t)x));
#else
    vec y;
    for (int i = 0; i < LANES; i++) y[i] = FLOAT64 ? __builtin_sqrt(x[i]) : __builtin_sqrtf(x[i]);
    return y;
#endif
}

/* float32 treats numbers below 1e-38 as 0 while it works: moments that fade away cost a fifth of the time otherwise. */
static unsigned flush_denormals(void) {
#if !EXACT && defined(__SSE2__)
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
    return mode;
#elif !EXACT && defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | 1u << 24));
    return (unsigned)mode;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned mode) {
#if !EXACT && defined(__SSE2__)
    _mm_setcsr(mode);
#elif !EXACT && defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
#else
    (void)mode;
#endif
}

/* Vectors are made of pieces of 16 bytes, within which shuffling is cheapest. */
enum { PIECE = 16 / sizeof(real), PIECES = VECTOR_BYTES / 16 };

/* In each piece, the lower (upper) halves of a's and b's, lane by lane in turn: a0 b0 a1 b1. */
INLINE vec interleaved(vec a, vec b, const int upper) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) {
        const int from = i / PIECE * PIECE + i % PIECE / 2 + upper * PIECE / 2;
        y[i] = i % 2 ? b[from] : a[from];
    }
    return y;
#else
    const ivec i = lane_numbers();
    return __builtin_shuffle(a, b, (i & -PIECE) + ((i & (PIECE - 1)) >> 1) + (bits)(upper * PIECE / 2) + (i & 1) * LANES);
#endif
}

/* --- Sizes, and where things lie ------------------------------------------------------------------------------------ */

/* T block_size, C n_embd, H n_head, D head_dim, V vocab_size, L n_layer; F = 4 C. Cp, Fp, Vp, Tp: padded to whole vectors. */
typedef struct {
    int T, C, H, D, V, L, F, Cp, Fp, Vp, Tp;
    int relu2;
} Dims;

enum { WTE, WPE, LM_HEAD, FIRST_LAYER };
enum { ATTN_WQ, ATTN_WK, ATTN_WV, ATTN_WO, MLP_FC1, MLP_FC2, LAYER_MATRICES };

typedef struct {
    int rows, columns, stride; /* stride: the columns, padded */
    size_t flat, at;           /* where it starts in the flat buffers and in ours */
    size_t turned;             /* where the transposed one starts; no meaning for wte and wpe, which are looked up */
    int turned_stride;
} Matrix;

typedef struct { /* what the model knows, in both orientations */
    real *w, *w_turned;
} Weights;

/* What forward leaves of a layer for backward, and backward for the weights' gradients; a row for each position. */
typedef struct {
    real *x;                           /* (Cp) the layer's input: the output of the one before */
    real *x_norm1, *scale1, *slope1;   /* (Cp) (1) (1) after the first rmsnorm; its scale, and d scale / d mean square */
    real *qkv;                         /* (3 Cp) queries, keys, values */
    real *attn_weights, *attn_exps;    /* attention's weights, in the layout of the attention in use; exact: exps too */
    real *attn_scale, *attn_slope;     /* (H) exact: 1 / total, and its slope */
    real *x_attn;                      /* (Cp) the heads' mixtures */
    real *x_mid;                       /* (Cp) after attention and its residual */
    real *x_norm2, *scale2, *slope2;
    real *relu, *h;                    /* (Fp) after relu; and after the activation (the same for relu) */
    real *dqkv, *dx_mid, *dh, *dx_out; /* gradients of what attn_wq.., attn_wo, mlp_fc1, mlp_fc2 put out */
} Layer;

typedef struct {
    int hop; /* from a row's queries, keys and values to those of the next row: 1, or in decoding a context's length */
    int32_t *token, *position, *target, *first;
    real *dloss; /* d loss / d (the surprise at this row) */
    double *surprise, *total; /* float32: without the logarithm of total, which is one for many rows */
    real *x_embd, *scale0, *slope0; /* wte + wpe, before its rmsnorm */
    Layer *layers;
    real *x_out; /* (Cp) the last layer's output */
    real *logits, *dlogits;
    real *dy, *dx, *d_attn, *scores;
    void *memory;
} Work;

struct Net {
    Dims d;
    Settings settings;
    Matrix *matrices;
    int num_matrices;
    size_t flat_size, size, turned_size; /* the numbers in the flat buffers, in ours, and in the transposed ones */
    int32_t *order, *first_order;        /* the rows of [wq; wk; wv] as their gradients reach the layer's input */
    double attn_factor, inverse_C;
    Weights weights;
    real *m, *v, *grads;
    real *embedding_grads; /* exact: one document's dwte and dwpe */
    Work work;             /* for a batch, or for as much of it as is in memory at once */
    int capacity;          /* its rows */
    int wave_rows;         /* and how many there may be */
    void *memory;
};

INLINE const Matrix *layer_matrix(const Net *net, int layer, int which) {
    return &net->matrices[FIRST_LAYER + LAYER_MATRICES * layer + which];
}

/* --- exp, log, pow -------------------------------------------------------------------------------------------------- */

#if EXACT
/* Called through pointers that the compiler cannot look through: it would take x * x for pow(x, 2). */
static double (*volatile libm_pow)(double, double) = pow;
static double (*volatile libm_exp)(double) = exp;

/* c - a * b, precise enough to tell on which side of a midpoint between two floats a rounded result lies. */
INLINE vec residual(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fnmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (vec)_mm256_fnmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    vec r;
    for (int i = 0; i < LANES; i++) r[i] = __builtin_fma(-a[i], b[i], c[i]);
    return r;
#else /* no fma: halve both factors exactly (Dekker 1971) and add up what the rounded product left */
    const real half = 0x1p27 + 1;
    vec a_high = a * half, b_high = b * half, product = a * b;
    a_high = a_high - (a_high - a);
    b_high = b_high - (b_high - b);
    vec a_low = a - a_high, b_low = b - b_high;
    vec rest = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return (c - product) - rest;
#endif
}

INLINE double residual1(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(-a, b, c);
#else
    return residual(all(a), all(b), all(c))[0];
#endif
}

/* The reference's x**2, x**-1 and x**0.5 are libm's pow, whose result is less than 0.012 ulp from being the correctly
rounded one (glibc: 0.509 ulp of error in all, where |y log x| is below 71). So the rounded product, quotient or root is
pow's result, except where it is within 0.012 ulp of a midpoint: there pow itself must be asked. */
#define SURE (0.5 - 0.012)
#define RANGE_LOW 0x1p-96
#define RANGE_HIGH (1 / RANGE_LOW)

INLINE double ulp(double x) {
    union { double x; int64_t i; } u = {x};
    u.i &= 0x7ff0000000000000;
    return u.x * 0x1p-52;
}

INLINE double pow_2(double x) {
    double square = x * x;
    if (x == 0) return square;
    if (square > RANGE_LOW && square < RANGE_HIGH && fabs(residual1(x, x, square)) < SURE * ulp(square)) return square;
    return libm_pow(x, 2.0);
}

INLINE double pow_half(double x) {
    double root = sqrt(x); /* root + e is x**0.5 where 2 root e = x - root**2 */
    if (x == 0) return root;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(residual1(root, root, x)) < 2 * SURE * ulp(root) * root) return root;
    return libm_pow(x, 0.5);
}

INLINE double pow_minus_1(double x) {
    double quotient = 1 / x;
    if (x > RANGE_LOW && x < RANGE_HIGH && fabs(residual1(quotient, x, 1)) < SURE * ulp(quotient) * x) return quotient;
    return libm_pow(x, -1.0);
}

INLINE double pow_minus_2(double x) {
    double square = x * x, quotient = 1 / square, rest = residual1(x, x, square); /* x**2 = square - rest */
    double error = residual1(quotient, square, 1) + quotient * rest;
    if (x > 0x1p-48 && x < 0x1p48 && fabs(error) < SURE * ulp(quotient) * square) return quotient;
    return libm_pow(x, -2.0);
}
#elif FLOAT64
/* exp of x <= 0: 2**n * e**r with |r| <= log(2) / 2, of whose series 14 terms tell all digits. */
INLINE vec vector_exp(vec x) {
    x = larger(x, all(-708));
    vec shifted = x * 1.4426950408889634 + 0x1.8p52; /* the integer n is now in the low bits */
    vec n = shifted - 0x1.8p52;
    vec r = x - n * 0x1.62e42fee00000p-1; /* log(2) in two parts: with the first, n has an exact product */
    r = r - n * 0x1.a39ef35793c76p-33;
    vec p = all(1.0 / 6227020800);
    const real terms[] = {479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2};
    UNROLL for (int i = 0; i < 11; i++) p = p * r + 1 / terms[i];
    p = p * (r * r) + (r + 1);
    return (vec)((ivec)p + ((ivec)shifted << 52));
}
#else
/* exp of x <= 0, to 2 units in the last place: 2**n * e**r with |r| <= log(2) / 2, the polynomial of Cephes' expf. */
INLINE vec vector_exp(vec x) {
    x = larger(x, all(-87.0f));
    vec shifted = x * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2**23: the integer n is now in the low bits */
    vec n = shifted - 12582912.0f;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + (r + 1.0f);
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

#endif

#if !EXACT
/* a * b + c, where the compiler must not choose which of two products it fuses: the same numbers wherever this is inlined. */
INLINE vec fused(vec a, vec b, vec c) {
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* x**-0.5, of normal x */
INLINE vec inverse_root(vec x) {
#if defined(__AVX512F__) /* an estimate good to 2**-14 and a Newton step */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    return r * (1.5f - 0.5f * x * r * r);
#else
    return 1 / square_root(x);
#endif
}

/* In each group of `width` lanes, a power of two: the sum of the group, in every lane of it. */
INLINE vec group_sum(vec x, const int width) {
    UNROLL for (int k = 1; k < width; k *= 2) x += exchanged(x, k);
    return x;
}

/* Many sums along vectors cost little more than one where PIECE of them are made together: in each piece, lane j has the
sum of the piece's lanes in x[j]. */
INLINE vec sums_of_pieces(const vec *x) {
    if (PIECE == 2) return interleaved(x[0], x[1], 0) + interleaved(x[0], x[1], 1);
    const vec even = interleaved(x[0], x[2 % PIECE], 0) + interleaved(x[0], x[2 % PIECE], 1);
    const vec odd = interleaved(x[1], x[3 % PIECE], 0) + interleaved(x[1], x[3 % PIECE], 1);
    return interleaved(even, odd, 0) + interleaved(even, odd, 1);
}

/* In each piece: lane j, everywhere. */
INLINE vec spread(vec x, const int j) {
#ifdef __clang__
    vec y;
    UNROLL for (int i = 0; i < LANES; i++) y[i] = x[i / PIECE * PIECE + j];
    return y;
#else
    return __builtin_shuffle(x, (lane_numbers() & -PIECE) + j);
#endif
}

/* Rows are taken PIECE at a time; where there are but n, fewer, those from n on repeat the last. */
INLINE int row_of(int j, int n) { return j < n ? j : n - 1; }

/* x, but `rest` in all lanes from n on */
INLINE vec first_lanes(vec x, int n, real rest) {
    const ivec first = lane_numbers() < (bits)n;
    return (vec)((first & (ivec)x) | (~first & (ivec)all(rest)));
}

/* The largest lane, in every lane. */
INLINE vec group_largest(vec x) {
    UNROLL for (int k = 1; k < LANES; k *= 2) x = larger(x, exchanged(x, k));
    return x;
}
#endif

/* --- Matrices ------------------------------------------------------------------------------------------------------- */

/* y[r][c] = start + sum over k of a[r][k] b[k][c], k from 0, for R rows and N vectors of columns, all in registers; then
+ plus[r][c], unless plus is NULL. a, ar, ak: where a[r][k] is (in numbers); bk: from one row of b to the next. All three
linear operations are this one. */
INLINE void tile(const int R, const int N, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk, int K,
                 real start, const real *plus, real *y, ptrdiff_t yr) {
    vec sum[8][4];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) sum[r][c] = all(start);
    }
    UNROLL4 for (int k = 0; k < K; k++) {
        vec row[4];
        UNROLL for (int c = 0; c < N; c++) {
            row[c] = load(b + k * bk + c * LANES);
            if (N == 4) __builtin_prefetch(b + k * bk + (c + N) * LANES, 0, 2); /* the columns that come next */
        }
        UNROLL for (int r = 0; r < R; r++) {
            vec x = all(a[r * ar + k * ak]);
            UNROLL for (int c = 0; c < N; c++) sum[r][c] += x * row[c];
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int c = 0; c < N; c++) {
            if (plus) sum[r][c] = sum[r][c] + load(plus + r * yr + c * LANES);
            store(y + r * yr + c * LANES, sum[r][c]);
        }
    }
}

/* The rows in blocks of at most `most` and as equal as can be. */
INLINE void tiles(const int N, const int most, int rows, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b,
                  ptrdiff_t bk, int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    for (int blocks = (rows + most - 1) / most; blocks > 0; blocks--) {
        int R = (rows + blocks - 1) / blocks;
        switch (R) {
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        if (n <= most) tile(n, N, a, ar, ak, b, bk, K, start, plus, y, yr);                                            \
        break;
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
        }
        rows -= R, a += R * ar, y += R * yr;
        if (plus) plus += R * yr;
    }
}

INLINE void multiply_inline(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk,
                            int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    int c = 0;
#define PLUS (plus ? plus + c : NULL)
    if (REGISTERS == 32)
        for (; c + 4 * LANES <= columns; c += 4 * LANES) tiles(4, 6, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
    for (; c + 2 * LANES <= columns; c += 2 * LANES)
        tiles(2, REGISTERS == 32 ? 8 : 6, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
    if (c < columns) tiles(1, 8, rows, a, ar, ak, b + c, bk, K, start, PLUS, y + c, yr);
#undef PLUS
}

#if !EXACT
/* One row, as eight sums which need not wait for each other: half the time, where there is nothing else to do meanwhile. */
INLINE void multiply_row(int columns, const real *a, const real *b, ptrdiff_t bk, int K, const real *plus, real *y) {
    for (int c = 0; c < columns; c += LANES) {
        vec sum[8];
        int k = 0;
        UNROLL for (int i = 0; i < 8; i++) sum[i] = all(0);
        for (; k + 8 <= K; k += 8) {
            UNROLL for (int i = 0; i < 8; i++) sum[i] += a[k + i] * load(b + (k + i) * bk + c);
        }
        for (; k < K; k++) sum[0] += a[k] * load(b + k * bk + c);
        vec total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
        if (plus) total = total + load(plus + c);
        store(y + c, total);
    }
}
#endif

NOINLINE void multiply_any(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk,
                           int K, real start, const real *plus, real *y, ptrdiff_t yr) {
    multiply_inline(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
}

#ifdef __wasm__
#define OWN_CODE 0 /* which a browser would have to compile again while it runs */
#else
#define OWN_CODE 1
#endif

/* Code of its own where the sizes are known when compiling and small, else the common one. */
INLINE void multiply(int rows, int columns, const real *a, ptrdiff_t ar, ptrdiff_t ak, const real *b, ptrdiff_t bk, int K,
                     real start, const real *plus, real *y, ptrdiff_t yr) {
    if (OWN_CODE && __builtin_constant_p(columns) && columns <= 64 && !(columns == 64 && K >= 64))
        multiply_inline(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
    else
        multiply_any(rows, columns, a, ar, ak, b, bk, K, start, plus, y, yr);
}

/* y = x w^T + plus, if there is one: each output is its own sum over the inputs, ascending. columns: the outputs, padded.
one_row: there is but one (as a constant: else a row's numbers would depend on how many there are). */
INLINE void linear_forward(const int one_row, int rows, int inputs, int columns, const real *x, int xr, const real *w_turned,
                           int turned_stride, const real *plus, real *y, int yr) {
#if !EXACT
    if (one_row) {
        multiply_row(columns, x, w_turned, turned_stride, inputs, plus, y);
        return;
    }
#endif
    (void)one_row;
    multiply(rows, columns, x, xr, 1, w_turned, turned_stride, inputs, -0.0, plus, y, yr);
}

/* dx = dy w: each input collects from the rows of w, descending. */
INLINE void linear_backward_input(int rows, int outputs, int columns, const real *dy, int dyr, const real *w, int stride,
                                  real *dx, int dxr) {
    multiply(rows, columns, dy + outputs - 1, dyr, -1, w + (ptrdiff_t)(outputs - 1) * stride, -stride, outputs, 0.0,
             NULL, dx, dxr);
}

#if EXACT
/* dw = dy^T x for `outputs` rows of w: each weight collects from the positions, descending. */
INLINE void linear_backward_weights(int rows, int outputs, int columns, const real *dy, int dyr, const real *x, int xr,
                                    real *dw, int stride) {
    multiply(outputs, columns, dy + (ptrdiff_t)(rows - 1) * dyr, 1, -dyr, x + (ptrdiff_t)(rows - 1) * xr, -xr, rows, 0.0,
             NULL, dw, stride);
}
#endif

/* A vector whose pieces come from places `stride` apart. */
INLINE vec load_pieces(const real *p, ptrdiff_t stride) {
#if defined(__AVX512F__)
    __m512 x = _mm512_castps128_ps512(_mm_load_ps((const float *)p));
    x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_load_ps((const float *)(p + stride)));
    x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_load_ps((const float *)(p + 2 * stride)));
    return (vec)_mm512_mask_broadcast_f32x4(x, 0xf000, _mm_load_ps((const float *)(p + 3 * stride)));
#elif defined(__AVX2__)
    __m256 x = _mm256_castps128_ps256(_mm_load_ps((const float *)p));
    return (vec)_mm256_insertf128_ps(x, _mm_load_ps((const float *)(p + stride)), 1);
#else
    (void)stride;
    return load(p);
#endif
}

/* A square of LANES x LANES, transposed: piece by piece, PIECE rows at a time. */
INLINE void transpose_square(const real *from, ptrdiff_t from_stride, real *to, ptrdiff_t to_stride) {
    UNROLL for (int j = 0; j < LANES; j += PIECE) {
        vec rows[PIECE], mixed[PIECE];
        UNROLL for (int i = 0; i < PIECE; i++) rows[i] = load_pieces(from + i * from_stride + j, PIECE * from_stride);
        UNROLL for (int step = 1; step < PIECE; step *= 2) { /* a0 a1.. b0 b1.. -> a0 b0 a1 b1.. */
            UNROLL for (int i = 0; i < PIECE; i++) mixed[i] = interleaved(rows[i / 2], rows[i / 2 + PIECE / 2], i % 2);
            UNROLL for (int i = 0; i < PIECE; i++) rows[i] = mixed[i];
        }
        UNROLL for (int i = 0; i < PIECE; i++) store(to + (i + j) * to_stride, rows[i]);
    }
}

/* Brings rows o..end of the transposed copy of a matrix up to date. */
INLINE void turn(const Matrix *matrix, Weights weights, int o, int end, const int stride) {
    for (int i = o; i < end; i += LANES)
        for (int j = 0; j < stride; j += LANES)
            transpose_square(weights.w + matrix->at + (ptrdiff_t)i * stride + j, stride,
                             weights.w_turned + matrix->turned + (ptrdiff_t)j * matrix->turned_stride + i,
                             matrix->turned_stride);
}

/* --- The operations of the model, forward and backward -------------------------------------------------------------- */

INLINE void add(int rows, int columns, const real *a, const real *b, real *sum) {
    for (int i = 0; i < rows * columns; i += LANES) store(sum + i, load(a + i) + load(b + i));
}

INLINE void embedding_forward(Dims d, const real *wte, const real *wpe, const Work *work, int from, int to) {
    for (int r = from; r < to; r++)
        for (int c = 0; c < d.Cp; c += LANES)
            store(work->x_embd + (ptrdiff_t)r * d.Cp + c,
                  load(wte + (ptrdiff_t)work->token[r] * d.Cp + c) + load(wpe + (ptrdiff_t)work->position[r] * d.Cp + c));
}

#if !EXACT
/* For PIECE rows: lane j of each piece has the product of a's row j with b's. */
INLINE vec row_products(Dims d, const real *a, const real *b, int n) {
    vec sum[PIECE];
    UNROLL for (int j = 0; j < PIECE; j++) {
        const ptrdiff_t row = (ptrdiff_t)row_of(j, n) * d.Cp;
        sum[j] = load(a + row) * load(b + row);
        for (int c = LANES; c < d.Cp; c += LANES) sum[j] += load(a + row + c) * load(b + row + c);
    }
    vec products = sums_of_pieces(sum);
    UNROLL for (int k = PIECE; k < LANES; k *= 2) products += exchanged(products, k);
    return products;
}
#endif

/* y = x * scale, scale = (mean(x**2) + 1e-5)**-0.5. Keeps scale and slope for backward: d scale / d mean is
-0.5 (mean + 1e-5)**-1.5; float32 keeps scale**3 / C instead, which is -2 slope / C. */
INLINE void rmsnorm_forward(int rows, Dims d, double inverse_C, const real *x, real *y, real *scale, real *slope) {
#if EXACT
    for (int r = 0; r < rows; r++, x += d.Cp, y += d.Cp) {
        double sum = x[0] * x[0];
        for (int c = 1; c < d.C; c++) sum += x[c] * x[c];
        double mean = sum * inverse_C + 1e-5;
        scale[r] = libm_pow(mean, -0.5);
        slope[r] = -0.5 * libm_pow(mean, -1.5);
        for (int c = 0; c < d.Cp; c += LANES) store(y + c, load(x + c) * scale[r]);
    }
#else
    for (int r = 0; r < rows; r += PIECE) {
        const int n = rows - r;
        const vec scales = inverse_root(row_products(d, x, x, n) * (real)inverse_C + (real)1e-5);
        const vec slopes = scales * scales * scales * (real)inverse_C;
        UNROLL for (int j = 0; j < PIECE; j++, x += d.Cp, y += d.Cp) {
            if (j >= n) break;
            scale[r + j] = scales[j], slope[r + j] = slopes[j];
            for (int c = 0; c < d.Cp; c += LANES) store(y + c, load(x + c) * spread(scales, j));
        }
    }
#endif
}

/* dx = before + scale dy + the share that came through scale. before: what reached x by the residual, or NULL. */
INLINE void rmsnorm_backward(int rows, Dims d, double inverse_C, const real *dy, const real *x, const real *scale,
                             const real *slope, const real *before, real *dx) {
#if EXACT
    for (int r = 0; r < rows; r++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
        double dscale = 0;
        for (int c = d.C - 1; c >= 0; c--) dscale += x[c] * dy[c];
        double dsquare = inverse_C * (slope[r] * dscale);
        for (int c = 0; c < d.Cp; c += LANES) {
            vec share = load(x + c) * dsquare;
            vec through = load(dy + c) * scale[r];
            store(dx + c, (((before ? load(before + r * d.Cp + c) : all(0)) + through) + share) + share);
        }
    }
#else
    (void)inverse_C;
    for (int r = 0; r < rows; r += PIECE) {
        const int n = rows - r;
        const vec products = row_products(d, dy, x, n);
        UNROLL for (int j = 0; j < PIECE; j++, x += d.Cp, dy += d.Cp, dx += d.Cp) {
            if (j >= n) break;
            const vec shares = spread(products, j) * -slope[r + j]; /* twice the share is this times x */
            for (int c = 0; c < d.Cp; c += LANES) {
                const vec residual = before ? load(before + (r + j) * d.Cp + c) : all(0);
                store(dx + c, fused(load(x + c), shares, fused(load(dy + c), all(scale[r + j]), residual)));
            }
        }
    }
#endif
}

/* One query against the keys of positions first..row: weights[u] for each of these n positions, and their mixture of the
values. The head's numbers are D long and start at q, keys, values; the next position's are `stride` further. */
INLINE void head_forward(Dims d, real factor, int n, const real *q, const real *keys, const real *values, ptrdiff_t stride,
                         real *weights, real *exps, real *scale, real *slope, real *mixture) {
    real *logits = weights;
    for (int u = 0; u < n; u++) {
        real sum = q[0] * keys[u * stride];
        for (int j = 1; j < d.D; j++) sum += q[j] * keys[u * stride + j];
        logits[u] = sum * factor;
    }
    real largest = logits[0];
    for (int u = 1; u < n; u++)
        if (logits[u] > largest) largest = logits[u];
#if EXACT
    double total = -0.0;
    for (int u = 0; u < n; u++) total += exps[u] = libm_exp(logits[u] + -largest);
    *scale = pow_minus_1(total);
    *slope = -1.0 * pow_minus_2(total);
    for (int u = 0; u < n; u++) weights[u] = exps[u] * *scale;
#else
    (void)exps, (void)scale, (void)slope;
    for (int u = n; u < padded(n); u++) logits[u] = -1e30f;
    vec sums = all(0);
    for (int u = 0; u < n; u += LANES) {
        vec e = vector_exp(load(logits + u) - largest);
        store(weights + u, e);
        sums += e;
    }
    real total = group_sum(sums, LANES)[0]; /* the padding adds less than 1e-37 to at least 1 */
    for (int u = 0; u < n; u += LANES) store(weights + u, load(weights + u) / total);
#endif
    for (int j = 0; j < d.D; j++) mixture[j] = weights[0] * values[j];
    for (int u = 1; u < n; u++)
        for (int j = 0; j < d.D; j++) mixture[j] += weights[u] * values[u * stride + j];
}

/* From dmixture to dq (written), dkeys and dvalues (added to). dweights: room for n numbers. */
INLINE void head_backward(Dims d, real factor, int n, const real *q, const real *keys, const real *values, ptrdiff_t stride,
                          const real *weights, const real *exps, real scale, real slope, const real *dmixture,
                          real *dweights, real *dq, real *dkeys, real *dvalues) {
    real dtotal = 0;
    for (int u = n - 1; u >= 0; u--) {
        real dweight = 0;
        for (int j = d.D - 1; j >= 0; j--) dweight += values[u * stride + j] * dmixture[j];
        for (int j = 0; j < d.D; j++) dvalues[u * stride + j] += weights[u] * dmixture[j];
        dweights[u] = dweight;
#if EXACT /* weight = exp * total**-1, and every weight has made its own total**-1 */
        dtotal += slope * (exps[u] * dweight);
#else
        dtotal += weights[u] * dweight;
#endif
    }
    for (int j = 0; j < d.D; j++) dq[j] = 0;
    for (int u = n - 1; u >= 0; u--) {
#if EXACT
        real dlogit = factor * (exps[u] * (scale * dweights[u] + dtotal));
#else
        real dlogit = factor * (weights[u] * (dweights[u] - dtotal));
        (void)exps, (void)scale, (void)slope;
#endif
        for (int j = 0; j < d.D; j++) dq[j] += keys[u * stride + j] * dlogit;
        for (int j = 0; j < d.D; j++) dkeys[u * stride + j] += q[j] * dlogit;
    }
}

#if EXACT
INLINE int heads_in_lanes(Dims d) { return (void)d, 0; }
#else
/* Where heads fill whole vectors, or divide them evenly, float32 computes with all lanes at once, PIECE positions at a time:
of position u + j the weight stands in every lane of the head that is j modulo PIECE. A group is the vectors that share
one vector of weights: one vector of several small heads, or all vectors of one large head. */
enum { MOST_VECTORS = 16 };

INLINE int heads_in_lanes(Dims d) {
    return !(d.D & (d.D - 1)) && d.D >= PIECE && d.C % LANES == 0 && d.D <= MOST_VECTORS * LANES;
}

/* x . row in each head, for PIECE rows. */
INLINE vec products_of_rows(const vec *x, const real *rows, ptrdiff_t stride, int n, const int vectors, const int width) {
    vec products[PIECE];
    UNROLL for (int j = 0; j < PIECE; j++) {
        const real *row = rows + row_of(j, n) * stride;
        products[j] = x[0] * load(row);
        for (int i = 1; i < vectors; i++) products[j] += x[i] * load(row + i * LANES);
    }
    vec sum = sums_of_pieces(products);
    UNROLL for (int k = PIECE; k < width; k *= 2) sum += exchanged(sum, k);
    return sum;
}

/* sum += what lane j of each piece of `weights` makes of row j, for PIECE rows. */
INLINE void add_rows(vec *sum, vec weights, const real *rows, ptrdiff_t stride, int n, const int vectors) {
    UNROLL for (int j = 0; j < PIECE; j++) {
        const real *row = rows + row_of(j, n) * stride;
        for (int i = 0; i < vectors; i++) sum[i] += spread(weights, j) * load(row + i * LANES);
    }
}

/* A row against n positions; keys and values as in head_forward, but for all heads. weights: (n / PIECE, groups,
LANES), which are kept for backward, else only used. */
INLINE void lanes_forward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride, int keep,
                          real *weights, real *mixture) {
    const int width = d.D < LANES ? d.D : LANES, vectors = d.D / width, groups = d.C / (vectors * LANES);
    const ivec lane = lane_numbers() & (PIECE - 1);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Cp;
        real *mine = weights + g * LANES;
        vec query[MOST_VECTORS], sum[MOST_VECTORS], largest = all(-1e30f), total = all(0);
        for (int i = 0; i < vectors; i++) query[i] = load(q + i * LANES) * factor, sum[i] = all(0);
        for (int u = 0; u < n; u += PIECE) {
            const real *rows = keys + u * stride;
            const vec logits = n - u >= PIECE ? products_of_rows(query, rows, stride, PIECE, vectors, width)
                                              : products_of_rows(query, rows, stride, n - u, vectors, width);
            store(mine + u / PIECE * groups * LANES, logits);
            largest = larger(logits, largest);
        }
        UNROLL for (int k = 1; k < PIECE; k *= 2) largest = larger(largest, exchanged(largest, k));
        for (int u = 0; u < n; u += PIECE) {
            real *here = mine + u / PIECE * groups * LANES;
            const vec e = (vec)((ivec)vector_exp(load(here) - largest) & (lane < n - u));
            if (keep) store(here, e);
            total += e;
            if (n - u >= PIECE)
                add_rows(sum, e, values + u * stride, stride, PIECE, vectors);
            else
                add_rows(sum, e, values + u * stride, stride, n - u, vectors);
        }
        const vec inverse = 1.0f / group_sum(total, PIECE);
        for (int u = 0; keep && u < n; u += PIECE) {
            real *here = mine + u / PIECE * groups * LANES;
            store(here, load(here) * inverse);
        }
        for (int i = 0; i < vectors; i++) store(mixture + i * LANES, sum[i] * inverse);
        q += vectors * LANES, keys += vectors * LANES, mixture += vectors * LANES;
    }
}

/* dlogit = weight * (dweight - what the mean weight gained), and that mean is dmixture . mixture. */
INLINE void lanes_backward(Dims d, real factor, int n, const real *q, const real *keys, ptrdiff_t stride,
                           const real *weights, const real *mixture, const real *dmixture, real *dq, real *dkeys) {
    const int width = d.D < LANES ? d.D : LANES, vectors = d.D / width, groups = d.C / (vectors * LANES);
    for (int g = 0; g < groups; g++) {
        const real *values = keys + d.Cp;
        real *dvalues = dkeys + d.Cp;
        vec query[MOST_VECTORS], dquery[MOST_VECTORS], gain[MOST_VECTORS], mean = all(0);
        for (int i = 0; i < vectors; i++) {
            query[i] = load(q + i * LANES) * factor, dquery[i] = all(0);
            gain[i] = load(dmixture + i * LANES);
            mean += gain[i] * load(mixture + i * LANES);
        }
        mean = group_sum(mean, width);
        for (int u = 0; u < n; u += PIECE) {
            const vec these = load(weights + (u / PIECE * groups + g) * LANES);
            const vec dlogits = these * (products_of_rows(gain, values + u * stride, stride, n - u, vectors, width) - mean);
            UNROLL for (int j = 0; j < PIECE; j++) {
                if (u + j == n) break;
                const vec weight = spread(these, j), dlogit = spread(dlogits, j);
                for (int i = 0; i < vectors; i++) {
                    const ptrdiff_t at = (u + j) * stride + i * LANES;
                    store(dvalues + at, load(dvalues + at) + weight * gain[i]);
                    store(dkeys + at, load(dkeys + at) + dlogit * query[i]);
                    dquery[i] += dlogit * load(keys + at);
                }
            }
        }
        for (int i = 0; i < vectors; i++) store(dq + i * LANES, dquery[i] * factor);
        const int step = vectors * LANES;
        q += step, keys += step, mixture += step, dmixture += step, dq += step, dkeys += step;
    }
}
#endif

/* How many numbers a row's attention weights take. */
INLINE size_t attention_width(Dims d) {
    return heads_in_lanes(d) ? (size_t)(d.T + PIECE - 1) / PIECE * (d.D < LANES ? d.C : d.H * LANES) : (size_t)d.H * d.Tp;
}

/* All heads of rows from..to; a row looks at the rows first[row] .. row of its document. */
INLINE void attention_forward(Dims d, const Net *net, const Work *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Cp;
    const real factor = (real)net->attn_factor;
    for (int r = from; r < to; r++) {
        const real *q = layer->qkv + r * stride * work->hop, *k = layer->qkv + work->first[r] * stride + d.Cp;
        real *weights = layer->attn_weights + r * attention_width(d), *exps = layer->attn_exps + r * attention_width(d);
        real *x_attn = layer->x_attn + (ptrdiff_t)r * d.Cp;
        const int n = work->position[r] + 1;
#if !EXACT
        if (heads_in_lanes(d)) {
            lanes_forward(d, factor, n, q, k, stride, work->hop == 1, weights, x_attn);
            continue;
        }
#endif
        for (int h = 0; h < d.H; h++)
            head_forward(d, factor, n, q + h * d.D, k + h * d.D, k + d.Cp + h * d.D, stride,
                         weights + h * d.Tp, exps + h * d.Tp, layer->attn_scale + (ptrdiff_t)r * d.H + h,
                         layer->attn_slope + (ptrdiff_t)r * d.H + h, x_attn + h * d.D);
    }
}

INLINE void attention_backward(Dims d, const Net *net, const Work *work, Layer *layer, int from, int to) {
    const ptrdiff_t stride = 3 * d.Cp;
    const real factor = (real)net->attn_factor;
    memset(layer->dqkv + from * stride, 0, sizeof(real) * (to - from) * stride);
    for (int r = to - 1; r >= from; r--) {
        const real *q = layer->qkv + r * stride, *k = layer->qkv + work->first[r] * stride + d.Cp;
        real *dq = layer->dqkv + r * stride, *dk = layer->dqkv + work->first[r] * stride + d.Cp;
        const real *weights = layer->attn_weights + r * attention_width(d), *exps = layer->attn_exps + r * attention_width(d);
        const real *dmixture = work->d_attn + (ptrdiff_t)r * d.Cp;
        const int n = work->position[r] + 1;
#if !EXACT
        if (heads_in_lanes(d)) {
            lanes_backward(d, factor, n, q, k, stride, weights, layer->x_attn + (ptrdiff_t)r * d.Cp, dmixture, dq, dk);
            continue;
        }
#endif
        for (int h = d.H - 1; h >= 0; h--)
            head_backward(d, factor, n, q + h * d.D, k + h * d.D, k + d.Cp + h * d.D, stride, weights + h * d.Tp,
                          exps + h * d.Tp, layer->attn_scale[(ptrdiff_t)r * d.H + h], layer->attn_slope[(ptrdiff_t)r * d.H + h],
                          dmixture + h * d.D, work->scores + (ptrdiff_t)r * d.Tp, dq + h * d.D, dk + h * d.D,
                          dk + d.Cp + h * d.D);
    }
}

/* From dqkv to the gradient of what attn_wq, attn_wk and attn_wv read. */
INLINE void qkv_backward_input(Dims d, const Net *net, const Layer *layer, const real *w, int from, int to, real *dx) {
    const int stride = 3 * d.Cp;
    const real *dqkv = layer->dqkv + (ptrdiff_t)from * stride;
#if EXACT
    for (int r = 0, rows = to - from; r < rows; r += 4) { /* the rows of one document */
        const int32_t *order = r ? net->order : net->first_order;
        for (int c = 0; c < d.Cp; c += LANES) { /* row 0 is walked in another order: it comes alone, before the fours */
            const int n = r ? (rows - r < 4 ? rows - r : 4) : 1;
            const real *dy[4];
            vec sum[4];
            UNROLL for (int i = 0; i < 4; i++) {
                dy[i] = dqkv + (ptrdiff_t)(r + (i < n ? i : 0)) * stride;
                sum[i] = all(0);
            }
            for (int k = 0; k < 3 * d.C; k++) {
                vec row = load(w + (ptrdiff_t)(order[k]) * d.Cp + c);
                UNROLL for (int i = 0; i < 4; i++) sum[i] += dy[i][order[k]] * row;
            }
            UNROLL for (int i = 0; i < 4; i++)
                if (i < n) store(dx + (ptrdiff_t)(r + i) * d.Cp + c, sum[i]);
        }
        if (r == 0) r = -3;
    }
#else
    (void)net;
    linear_backward_input(to - from, stride, d.Cp, dqkv, stride, w, d.Cp, dx, d.Cp);
#endif
}

INLINE void activation_forward(int rows, Dims d, real *relu, real *h) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        vec x = load(h + i);
        x = larger(x, all(0));
        store(relu + i, x);
        if (!d.relu2) continue; /* relu and h are the same rows */
#if EXACT
        for (int j = 0; j < LANES; j++) h[i + j] = pow_2(x[j]);
#else
        store(h + i, x * x);
#endif
    }
}

INLINE void activation_backward(int rows, Dims d, const real *relu, real *dh) {
    for (int i = 0; i < rows * d.Fp; i += LANES) {
        vec x = load(relu + i), dx = load(dh + i);
        if (d.relu2) dx = (2 * x) * dx;
        store(dh + i, where_positive(x, dx));
    }
}

/* Each row's surprise -log p(target), and dlogits. */
INLINE void cross_entropy(Dims d, const Work *work, int from, int to) {
    for (int r = from; r < to; r++) {
        real *z = work->logits + (ptrdiff_t)r * d.Vp, *dz = work->dlogits + (ptrdiff_t)r * d.Vp;
        const int target = work->target[r];
#if EXACT
        double largest = z[0], total = -0.0;
        for (int j = 1; j < d.V; j++)
            if (z[j] > largest) largest = z[j];
        for (int j = 0; j < d.V; j++) total += z[j] = libm_exp(z[j] + -largest);
        double inverse = pow_minus_1(total), p = z[target] * inverse;
        work->surprise[r] = log(p) * -1.0;
        double dp = (1 / p) * (-1.0 * work->dloss[r]);
        double dtotal = (-1.0 * pow_minus_2(total)) * (z[target] * dp);
        for (int j = 0; j < d.V; j++) dz[j] = z[j] * dtotal;
        dz[target] = z[target] * (inverse * dp + dtotal);
#else
        const int last = d.Vp - LANES; /* where the last vector starts, which is padded */
        const vec ending = first_lanes(load(z + last), d.V - last, -1e30f);
        vec most = ending;
        for (int j = 0; j < last; j += LANES) most = larger(load(z + j), most);
        most = group_largest(most);
        vec sums = first_lanes(vector_exp(ending - most), d.V - last, 0);
        store(dz + last, sums);
        for (int j = 0; j < last; j += LANES) {
            const vec e = vector_exp(load(z + j) - most);
            store(dz + j, e);
            sums += e;
        }
        sums = group_sum(sums, LANES);
        work->surprise[r] = most[0] - z[target]; /* and the logarithm of: */
        work->total[r] = sums[0];
        const vec share = work->dloss[r] / sums;
        for (int j = 0; j < d.Vp; j += LANES) store(dz + j, load(dz + j) * share);
#endif
    }
#if !EXACT
    for (int r = from; r < to; r++) work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]] -= work->dloss[r];
#endif
}

/* From dlogits to dx_out; the target's row of lm_head comes last. */
INLINE void lm_head_backward_input(Dims d, const Work *work, const real *lm_head, int from, int to, real *dx) {
#if EXACT
    for (int r = from; r < to; r++) { /* set aside: work->dy is not in use yet */
        work->dy[(ptrdiff_t)r * d.Cp] = work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]];
        work->dlogits[(ptrdiff_t)r * d.Vp + work->target[r]] = 0;
    }
#endif
    linear_backward_input(to - from, d.V, d.Cp, work->dlogits + (ptrdiff_t)from * d.Vp, d.Vp, lm_head, d.Cp,
                          dx + (ptrdiff_t)from * d.Cp, d.Cp);
#if EXACT
    for (int r = from; r < to; r++) {
        real *dz = work->dlogits + (ptrdiff_t)r * d.Vp + work->target[r];
        const real *row = lm_head + (ptrdiff_t)work->target[r] * d.Cp;
        *dz = work->dy[(ptrdiff_t)r * d.Cp];
        for (int c = 0; c < d.Cp; c += LANES)
            store(dx + (ptrdiff_t)r * d.Cp + c, load(dx + (ptrdiff_t)r * d.Cp + c) + *dz * load(row + c));
    }
#endif
}

/* --- The passes ----------------------------------------------------------------------------------------------------- */

#define AT(buffer, width) ((buffer) + (ptrdiff_t)from * (width))

/* Rows from..to of the work, through all layers to the logits; the rows before `from` were here earlier. */
INLINE void forward(Dims d, const Net *net, Weights weights, const Work *work, int from, int to, const int one_row) {
    const int rows = to - from;
    const real *turned = weights.w_turned;
    Layer *first = &work->layers[0];
    rmsnorm_forward(rows, d, net->inverse_C, AT(work->x_embd, d.Cp), AT(first->x, d.Cp), work->scale0 + from,
                    work->slope0 + from);
    for (int l = 0; l < d.L; l++) {
        Layer *layer = &work->layers[l];
        real *x_out = l + 1 < d.L ? layer[1].x : work->x_out;
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x, d.Cp), AT(layer->x_norm1, d.Cp), layer->scale1 + from,
                        layer->slope1 + from);
        linear_forward(one_row, rows, d.C, 3 * d.Cp, AT(layer->x_norm1, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, ATTN_WQ)->turned, 3 * d.Cp, NULL, AT(layer->qkv, 3 * d.Cp),
                       3 * d.Cp * work->hop);
        attention_forward(d, net, work, layer, from, to);
        linear_forward(one_row, rows, d.C, d.Cp, AT(layer->x_attn, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, ATTN_WO)->turned, d.Cp, AT(layer->x, d.Cp), AT(layer->x_mid, d.Cp), d.Cp);
        rmsnorm_forward(rows, d, net->inverse_C, AT(layer->x_mid, d.Cp), AT(layer->x_norm2, d.Cp), layer->scale2 + from,
                        layer->slope2 + from);
        linear_forward(one_row, rows, d.C, d.Fp, AT(layer->x_norm2, d.Cp), d.Cp,
                       turned + layer_matrix(net, l, MLP_FC1)->turned, d.Fp, NULL, AT(layer->h, d.Fp), d.Fp);
        activation_forward(rows, d, AT(layer->relu, d.Fp), AT(layer->h, d.Fp));
        linear_forward(one_row, rows, d.F, d.Cp, AT(layer->h, d.Fp), d.Fp, turned + layer_matrix(net, l, MLP_FC2)->turned,
                       d.Cp, AT(layer->x_mid, d.Cp), AT(x_out, d.Cp), d.Cp);
    }
    linear_forward(one_row, rows, d.C, d.Vp, AT(work->x_out, d.Cp), d.Cp, turned + net->matrices[LM_HEAD].turned, d.Vp, NULL,
                   AT(work->logits, d.Vp), d.Vp);
}

/* Rows from..to, whole documents, from dlogits down to the gradient of x_embd in work->dx. */
INLINE void backward(Dims d, const Net *net, const Work *work, int from, int to) {
    const int rows = to - from;
    const real *w = net->weights.w;
    lm_head_backward_input(d, work, w + net->matrices[LM_HEAD].at, from, to, work->layers[d.L - 1].dx_out);
    for (int l = d.L - 1; l >= 0; l--) {
        Layer *layer = &work->layers[l];
        linear_backward_input(rows, d.C, d.Fp, AT(layer->dx_out, d.Cp), d.Cp, w + layer_matrix(net, l, MLP_FC2)->at, d.Fp,
                              AT(layer->dh, d.Fp), d.Fp);
        activation_backward(rows, d, AT(layer->relu, d.Fp), AT(layer->dh, d.Fp));
        linear_backward_input(rows, d.F, d.Cp, AT(layer->dh, d.Fp), d.Fp, w + layer_matrix(net, l, MLP_FC1)->at, d.Cp,
                              AT(work->dy, d.Cp), d.Cp);
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x_mid, d.Cp), layer->scale2 + from,
                         layer->slope2 + from, AT(layer->dx_out, d.Cp), AT(layer->dx_mid, d.Cp));
        linear_backward_input(rows, d.C, d.Cp, AT(layer->dx_mid, d.Cp), d.Cp, w + layer_matrix(net, l, ATTN_WO)->at, d.Cp,
                              AT(work->d_attn, d.Cp), d.Cp);
        attention_backward(d, net, work, layer, from, to);
        qkv_backward_input(d, net, layer, w + layer_matrix(net, l, ATTN_WQ)->at, from, to, AT(work->dy, d.Cp));
        rmsnorm_backward(rows, d, net->inverse_C, AT(work->dy, d.Cp), AT(layer->x, d.Cp), layer->scale1 + from,
                         layer->slope1 + from, AT(layer->dx_mid, d.Cp), AT(l ? layer[-1].dx_out : work->dx, d.Cp));
    }
    rmsnorm_backward(rows, d, net->inverse_C, AT(work->dx, d.Cp), AT(work->x_embd, d.Cp), work->scale0 + from,
                     work->slope0 + from, NULL, AT(work->dx, d.Cp));
}

/* --- Adam ----------------------------------------------------------------------------------------------------------- */

/* The constants of one step. Exact: as the reference has them, and 1 / correction as the sum of two floats. float32 keeps
m / (1 - beta1) and v / (1 - beta2), which needs fewer products (and comes back from float64 as it was, which float64 itself
would not), and both ways have the corrections in learning_rate and eps, here twice what they are, see adam_lanes. */
typedef struct {
    real beta1, beta2, learning_rate, eps;
#if FLOAT64
    real gain1, gain2;
#endif
#if EXACT
    real correction1, correction2, inverse1, inverse2, rest1, rest2;
#endif
} Adam;

/* Our m and v are the reference's divided by these. */
INLINE double unit1(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta1; }
INLINE double unit2(const Settings *s) { return FLOAT64 ? 1 : 1 - s->beta2; }

static Adam adam_of_step(const Settings *s, int64_t step, double learning_rate) {
    const double correction1 = 1 - pow(s->beta1, (double)step), correction2 = 1 - pow(s->beta2, (double)step);
    Adam a = {.beta1 = s->beta1, .beta2 = s->beta2};
#if FLOAT64
    a.gain1 = 1 - s->beta1, a.gain2 = 1 - s->beta2;
#endif
#if EXACT
    a.learning_rate = learning_rate, a.eps = s->eps_adam;
    a.correction1 = correction1, a.correction2 = correction2;
    a.inverse1 = 1 / correction1, a.inverse2 = 1 / correction2;
    a.rest1 = residual1(a.inverse1, correction1, 1) * a.inverse1;
    a.rest2 = residual1(a.inverse2, correction2, 1) * a.inverse2;
#else
    const double scale2 = sqrt(unit2(s) / correction2); /* sqrt(v_hat) = scale2 sqrt(our v) */
    a.learning_rate = 2 * learning_rate * unit1(s) / correction1 / scale2;
    a.eps = 2 * s->eps_adam / scale2;
#endif
    return a;
}

#if EXACT
enum { ADAM_BLOCK = 512 };

/* As a bit for each lane: where |a| is above b; and where |x| is neither 0 nor between the powers of two low and 1 / low. */
INLINE unsigned lanes_above(vec a, vec b) {
#if defined(__AVX512F__)
    return _mm512_cmp_pd_mask(_mm512_abs_pd((__m512d)a), (__m512d)b, _CMP_GT_OQ);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(fabs(a[i]) > b[i]) << i;
    return lanes;
#endif
}

INLINE unsigned lanes_outside(vec x, const double low) {
    const ivec magnitude = (ivec)x & INT64_MAX; /* floats of one sign are ordered as integers are */
#if defined(__AVX512F__)
    const __m512i from_low = (__m512i)(magnitude - (ivec)all(low)), width = (__m512i)((ivec)all(1 / low) - (ivec)all(low));
    return _mm512_mask_cmp_epu64_mask(_mm512_test_epi64_mask((__m512i)magnitude, (__m512i)magnitude), from_low, width,
                                      _MM_CMPINT_NLE);
#else
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(x[i] != 0 && !(fabs(x[i]) > low && fabs(x[i]) < 1 / low)) << i;
    (void)magnitude;
    return lanes;
#endif
}

/* Keep the old numbers in `lanes`. */
INLINE void store_except(real *p, vec x, unsigned lanes) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_pd(p, (__mmask8)~lanes, (__m512d)x);
#else
    for (int i = 0; i < LANES && lanes; i++)
        if (lanes >> i & 1) x[i] = p[i];
    store(p, x);
#endif
}

/* Appends first + i to the list for each of the lanes; returns the list's new end. */
INLINE int32_t *note(int32_t *list, int first, unsigned lanes) {
#if defined(__AVX512F__)
    __m256i numbers = _mm256_add_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    _mm256_storeu_si256((__m256i *)list, _mm256_maskz_compress_epi32((__mmask8)lanes, numbers));
    return list + __builtin_popcount(lanes);
#else
    for (; lanes; lanes &= lanes - 1) *list++ = first + __builtin_ctz(lanes);
    return list;
#endif
}

/* x / correction for the same correction many times: the quotient from the two-part inverse is within 0.51 ulp, so that
one correction by the exact remainder rounds it as division does (Markstein 1990), if the remainder does not underflow. */
#define DIVIDED_LOW 0x1p-900
INLINE vec divided(vec x, real correction, real inverse, real rest) {
#if defined(__FMA__) || defined(__aarch64__)
    vec quotient = x * inverse + x * rest;
    vec remainder = residual(quotient, all(correction), x);
    return -residual(remainder, all(inverse), -quotient);
#else
    (void)inverse, (void)rest;
    return x / correction;
#endif
}

/* One number, asking pow itself: for its gradient's square, or for the root alone. */
INLINE void adam_one(const Adam *a, int ask_square, real *w, const real *m, real *v, real g) {
    *v = a->beta2 * *v + a->gain2 * (ask_square ? libm_pow(g, 2.0) : g * g);
    const real v_hat = *v / a->correction2;
    *w -= a->learning_rate * (*m / a->correction1) / ((ask_square ? pow_half(v_hat) : libm_pow(v_hat, 0.5)) + a->eps);
}

/* Numbers for which pow itself must be asked are left as they were, noted, and done afterwards: a branch for each of them
would be mispredicted. */
INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam constants = *adam, *a = &constants; /* a copy, which the compiler sees is not written to */
    int32_t squares[ADAM_BLOCK + LANES], roots[ADAM_BLOCK + LANES], *squares_end = squares, *roots_end = roots;
    const ivec exponent = (ivec){0} + (bits)0x7ff0000000000000;
    for (int i = 0; i < n; i += LANES) {
        const vec dw = load(g + i);
        const vec new_m = a->beta1 * load(m + i) + a->gain1 * dw;
        const vec square = dw * dw;
        const vec square_ulp = (vec)((ivec)square & exponent) * 0x1p-52;
        const vec new_v = a->beta2 * load(v + i) + a->gain2 * square;
        const vec m_hat = divided(new_m, a->correction1, a->inverse1, a->rest1);
        const vec v_hat = divided(new_v, a->correction2, a->inverse2, a->rest2);
        const vec root = square_root(v_hat);
        const vec root_ulp = (vec)((ivec)root & exponent) * 0x1p-52;
        const unsigned ask_square = lanes_above(residual(dw, dw, square), square_ulp * SURE) | lanes_outside(square, RANGE_LOW);
        const unsigned ask_root = (lanes_above(residual(root, root, v_hat), root_ulp * root * (2 * SURE)) |
                                   lanes_outside(v_hat, RANGE_LOW) | lanes_outside(new_m, DIVIDED_LOW)) &
                                  ~ask_square;
        store(m + i, new_m);
        store_except(v + i, new_v, ask_square | ask_root);
        store_except(w + i, load(w + i) - a->learning_rate * m_hat / (root + a->eps), ask_square | ask_root);
        squares_end = note(squares_end, i, ask_square);
        roots_end = note(roots_end, i, ask_root);
    }
    for (const int32_t *i = squares; i < squares_end; i++) adam_one(a, 1, w + *i, m + *i, v + *i, g[*i]);
    for (const int32_t *i = roots; i < roots_end; i++) adam_one(a, 0, w + *i, m + *i, v + *i, g[*i]);
}
#else
enum { ADAM_BLOCK = 1024 };

INLINE void adam_lanes(const Adam *a, vec dw, real *w, real *m, real *v) {
#if FLOAT64
    const vec new_m = a->beta1 * load(m) + a->gain1 * dw, new_v = a->beta2 * load(v) + a->gain2 * (dw * dw);
#else
    const vec new_m = fused(all(a->beta1), load(m), dw), new_v = fused(dw, dw, a->beta2 * load(v));
#endif
    store(m, new_m);
    store(v, new_v);
    const vec x = new_v + 1e-36f; /* which keeps 1 / root finite */
#if defined(__AVX512F__)
    /* r = 1 / sqrt(x) to 2**-14, so that (x r + 1 / r) / 2 = sqrt(x) to 2**-29 (Heron). Dividing by twice this + 2 eps: */
    const vec r = (vec)_mm512_rsqrt14_ps((__m512)x);
    store(w, load(w) - a->learning_rate * new_m * r / fused(r, fused(x, r, all(a->eps)), all(1)));
#else
    store(w, load(w) - a->learning_rate * new_m / (2 * square_root(x) + a->eps));
#endif
}

INLINE void adam_block(const Adam *adam, int n, real *w, real *m, real *v, const real *g) {
    const Adam a = *adam; /* a copy, which the compiler sees is not written to */
    for (int i = 0; i < n; i += LANES) adam_lanes(&a, load(g + i), w + i, m + i, v + i);
}
#endif

/* One step for n numbers, a multiple of LANES. */
INLINE void adam(const Adam *a, size_t n, real *w, real *m, real *v, const real *g) {
    for (size_t i = 0; i < n; i += ADAM_BLOCK)
        adam_block(a, n - i < ADAM_BLOCK ? (int)(n - i) : ADAM_BLOCK, w + i, m + i, v + i, g + i);
}

/* --- The weights' gradients, and what becomes of them --------------------------------------------------------------- */

/* What the gradients are summed over, and what for. exact: for each document in the work a sum from 0, positions descending,
and these are added up in turn. float32: one sum over all rows, ascending, so that it can stop at the end of any wave and go
on in the next. The result goes into Adam and is never stored, or to net->grads. */
typedef struct {
    const Net *net;
    const Adam *adam;    /* NULL: keep the gradient */
    int begun;           /* net->grads holds the sums of earlier documents */
    int sums;
    const int32_t *ends; /* the row where each ends */
} Gradient;

/* The two ends of a linear layer: what it read, and the gradient of what it put out. */
typedef struct {
    const Matrix *matrix;
    const real *x, *dy;
    int xr, dyr;
} Link;

INLINE Link layer_link(Dims d, const Net *net, int l, int which) {
    const Layer *layer = &net->work.layers[l];
    const Matrix *matrix = layer_matrix(net, l, which);
    switch (which) {
        case ATTN_WQ:
        case ATTN_WK:
        case ATTN_WV: return (Link){matrix, layer->x_norm1, layer->dqkv + (which - ATTN_WQ) * d.Cp, d.Cp, 3 * d.Cp};
        case ATTN_WO: return (Link){matrix, layer->x_attn, layer->dx_mid, d.Cp, d.Cp};
        case MLP_FC1: return (Link){matrix, layer->x_norm2, layer->dh, d.Cp, d.Fp};
        default: return (Link){matrix, layer->h, layer->dx_out, d.Fp, d.Cp};
    }
}

INLINE Link lm_head_link(Dims d, const Net *net) {
    return (Link){&net->matrices[LM_HEAD], net->work.x_out, net->work.dlogits, d.Cp, d.Vp};
}

/* dwte and dwpe, which lie one after the other, += the gradient of their sum in rows from..to. */
INLINE void embedding_backward(Dims d, const Net *net, int from, int to, real *grads) {
    const Work *work = &net->work;
    real *dwte = grads + net->matrices[WTE].at, *dwpe = grads + net->matrices[WPE].at;
    for (int i = 0; i < to - from; i++)
        for (int c = 0, r = EXACT ? to - 1 - i : from + i; c < d.Cp; c += LANES) {
            vec dx = load(work->dx + (ptrdiff_t)r * d.Cp + c);
            real *token = dwte + (ptrdiff_t)work->token[r] * d.Cp + c;
            real *position = dwpe + (ptrdiff_t)work->position[r] * d.Cp + c;
            store(token, load(token) + dx);
            store(position, load(position) + dx);
        }
}

INLINE void embedding_gradient(Dims d, const Gradient *gradient) {
    const Net *net = gradient->net;
    const size_t n = net->matrices[LM_HEAD].at;
    if (!gradient->begun) memset(net->grads, 0, sizeof(real) * n);
    for (int i = 0; i < gradient->sums; i++) {
        const int from = i ? gradient->ends[i - 1] : 0;
        if (EXACT && (i || gradient->begun)) {
            memset(net->embedding_grads, 0, sizeof(real) * n);
            embedding_backward(d, net, from, gradient->ends[i], net->embedding_grads);
            add(1, (int)n, net->grads, net->embedding_grads, net->grads);
        } else {
            embedding_backward(d, net, from, gradient->ends[i], net->grads);
        }
    }
    if (gradient->adam) adam(gradient->adam, n, net->weights.w, net->m, net->v, net->grads);
}

#if EXACT
/* `rows` rows and `columns` columns of a matrix's gradient, from row o and column c on, through a panel in the nearest
cache. */
INLINE void gradient_block(const Gradient *gradient, Link link, int o, int rows, int c, int columns, const int stride) {
    const Net *net = gradient->net;
    real panel[ADAM_BLOCK] __attribute__((aligned(64))), more[ADAM_BLOCK] __attribute__((aligned(64)));
    const size_t at = link.matrix->at + (size_t)o * stride + c;
    const size_t row_bytes = sizeof(real) * columns;
    if (gradient->begun)
        for (int r = 0; r < rows; r++) memcpy(panel + r * columns, net->grads + at + (size_t)r * stride, row_bytes);
    for (int i = 0, from = 0; i < gradient->sums; from = gradient->ends[i++]) {
        const int first = i == 0 && !gradient->begun;
        linear_backward_weights(gradient->ends[i] - from, rows, columns, link.dy + (ptrdiff_t)from * link.dyr + o, link.dyr,
                                link.x + (ptrdiff_t)from * link.xr + c, link.xr, first ? panel : more, columns);
        if (!first) add(rows, columns, panel, more, panel);
    }
    if (gradient->adam && columns == stride) {
        adam_block(gradient->adam, rows * stride, net->weights.w + at, net->m + at, net->v + at, panel);
        return;
    }
    for (int r = 0; r < rows; r++) {
        const size_t row = at + (size_t)r * stride;
        if (gradient->adam)
            adam_block(gradient->adam, columns, net->weights.w + row, net->m + row, net->v + row, panel + r * columns);
        else
            memcpy(net->grads + row, panel + r * columns, row_bytes);
    }
}

/* Rows o..end of a matrix: the gradient, and Adam. stride: the matrix's, where it is a constant. */
INLINE void gradient_rows(const Gradient *gradient, Link link, int o, int end, const int stride) {
    const int width = stride < ADAM_BLOCK / 8 ? stride : ADAM_BLOCK / 8, high = ADAM_BLOCK / width;
    for (; o < end; o += high)
        for (int c = 0; c < stride; c += width)
            gradient_block(gradient, link, o, end - o < high ? end - o : high, c, stride - c < width ? stride - c : width,
                           stride);
}
#else
enum { GRADIENT_ROWS = LANES < 8 ? LANES : 8 };

/* GRADIENT_ROWS rows and N vectors of columns, in registers from the first product to the new weights. */
INLINE void gradient_tile(const int N, const Gradient *gradient, const Adam *a, Link link, int o, int c, const int stride) {
    const int R = GRADIENT_ROWS;
    const Net *net = gradient->net;
    const size_t at = link.matrix->at + (size_t)o * stride + c;
    real *w = net->weights.w + at, *m = net->m + at, *v = net->v + at, *grads = net->grads + at;
    const real *x = link.x + c, *dy = link.dy + o;
    vec sum[8][2];
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int j = 0; j < N; j++) sum[r][j] = gradient->begun ? load(grads + r * stride + j * LANES) : all(0);
    }
    if (gradient->ends[0] > 32) { /* fetch what the next tile will change, while there is much to add up */
        const ptrdiff_t next = c + N * LANES < stride ? N * LANES : (ptrdiff_t)R * stride - c;
        for (int r = 0; r < R; r++) {
            UNROLL for (int j = 0; j < N; j++) {
                const ptrdiff_t i = next + (ptrdiff_t)r * stride + j * LANES;
                __builtin_prefetch(w + i, 1, 2), __builtin_prefetch(m + i, 1, 2), __builtin_prefetch(v + i, 1, 2);
            }
        }
    }
    UNROLL4 for (int t = 0; t < gradient->ends[0]; t++, x += link.xr, dy += link.dyr) {
        vec row[2];
        UNROLL for (int j = 0; j < N; j++) row[j] = load(x + j * LANES);
        UNROLL for (int r = 0; r < R; r++) {
            UNROLL for (int j = 0; j < N; j++) sum[r][j] += dy[r] * row[j];
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int j = 0; j < N; j++) {
            const int i = r * stride + j * LANES;
            if (gradient->adam)
                adam_lanes(a, sum[r][j], w + i, m + i, v + i);
            else
                store(grads + i, sum[r][j]);
        }
    }
}

/* Rows o..end of a matrix: the gradient, and Adam. The rows that pad the matrix have no gradient and stay 0.
stride: the matrix's, where it is a constant. */
INLINE void gradient_rows(const Gradient *gradient, Link link, int o, int end, const int stride) {
    const Adam a = gradient->adam ? *gradient->adam : (Adam){0};
    const int wide = gradient->ends[0] > 16; /* where adding up takes longer than Adam */
    for (; o < end; o += GRADIENT_ROWS) {
        int c = 0;
        for (; wide && c + 2 * LANES <= stride; c += 2 * LANES) gradient_tile(2, gradient, &a, link, o, c, stride);
        for (; c < stride; c += LANES) gradient_tile(1, gradient, &a, link, o, c, stride);
    }
}
#endif

/* Work is shared out in tasks, with numbers: the embeddings, then so many rows of each matrix. A thread walks through all
numbers and does those that it drew. */
enum { TASK_ROWS = EXACT ? 32 : 16 };

typedef struct {
    int threads;
    atomic_int next; /* the first number that nobody has */
} Tickets;

INLINE int draw(Tickets *tickets) {
    if (tickets->threads > 1) return atomic_fetch_add_explicit(&tickets->next, 1, memory_order_relaxed);
    const int ticket = atomic_load_explicit(&tickets->next, memory_order_relaxed);
    atomic_store_explicit(&tickets->next, ticket + 1, memory_order_relaxed);
    return ticket;
}

typedef struct {
    Tickets *tickets;
    int mine, number; /* the number drawn, and that of the task at hand */
} Walk;

INLINE int is_mine(Walk *walk) { return walk->number++ == walk->mine; }

INLINE void link_backward(const Gradient *gradient, Link link, const int stride, Walk *walk) {
    for (int o = 0; o < link.matrix->rows; o += TASK_ROWS) {
        if (!is_mine(walk)) continue;
        const int end = o + TASK_ROWS < link.matrix->rows ? o + TASK_ROWS : link.matrix->rows;
        gradient_rows(gradient, link, o, end, stride);
        if (gradient->adam) turn(link.matrix, gradient->net->weights, o, end, stride);
        walk->mine = draw(walk->tickets);
    }
}

/* All gradients of the documents in the work: one thread's share. */
INLINE void weights_backward(Dims d, const Gradient *gradient, Tickets *tickets) {
    const Net *net = gradient->net;
    Walk walk = {tickets, draw(tickets), 0};
    if (is_mine(&walk)) {
        embedding_gradient(d, gradient);
        walk.mine = draw(tickets);
    }
    for (int l = -1; l < d.L; l++)
        for (int which = l < 0 ? MLP_FC1 : 0; which < MLP_FC2; which++)
            link_backward(gradient, l < 0 ? lm_head_link(d, net) : layer_link(d, net, l, which), d.Cp, &walk);
    for (int l = 0; l < d.L; l++) link_backward(gradient, layer_link(d, net, l, MLP_FC2), d.Fp, &walk);
}

/* --- The net: memory, and the way from flat buffers to ours and back ------------------------------------------------ */

static void *allocate(uint64_t bytes) { /* zeros, aligned to 64 bytes */
    char *raw = bytes < SIZE_MAX - 128 ? calloc(1, (size_t)bytes + 128) : NULL;
    if (!raw) return NULL;
    char *p = (char *)(((uintptr_t)raw + 127) & ~(uintptr_t)63);
    ((void **)p)[-1] = raw;
    return p;
}

static void release(void *p) {
    if (p) free(((void **)p)[-1]);
}

#ifdef __SANITIZE_ADDRESS__
void __asan_poison_memory_region(void const volatile *address, size_t size);
#endif

/* Hands out pieces of one block; without a block it only counts how large it must be: in 64 bits, since more can be asked
for than an address of 32 bits reaches. */
typedef struct {
    char *memory;
    uint64_t used;
} Arena;

static void *take(Arena *arena, uint64_t bytes) {
    char *p = arena->memory ? arena->memory + arena->used : NULL;
    arena->used += (bytes + 63) & ~(uint64_t)63;
#ifdef __SANITIZE_ADDRESS__ /* a strip between the pieces that nobody may touch */
    if (p) __asan_poison_memory_region(arena->memory + arena->used, 64);
    arena->used += 64;
#endif
    return p;
}

static real *take_reals(Arena *arena, uint64_t n) { return take(arena, n * sizeof(real)); }

/* Memory for n rows: for training, or for the forward pass of n contexts which keep their keys and values. */
static void lay_out_work(Arena *arena, Dims d, Work *work, uint64_t n, int backward) {
    const uint64_t m = backward ? n : 0, kept = backward ? n : n * d.T;
    Layer unused, *layers = take(arena, d.L * sizeof(Layer));
    work->layers = layers;
    work->token = take(arena, n * sizeof(int32_t)), work->position = take(arena, n * sizeof(int32_t));
    work->target = take(arena, n * sizeof(int32_t)), work->first = take(arena, n * sizeof(int32_t));
    work->surprise = take(arena, n * sizeof(double)), work->total = take(arena, n * sizeof(double));
    work->dloss = take_reals(arena, n);
    work->x_embd = take_reals(arena, n * d.Cp), work->x_out = take_reals(arena, n * d.Cp);
    work->scale0 = take_reals(arena, n), work->slope0 = take_reals(arena, n);
    work->logits = take_reals(arena, n * d.Vp), work->dlogits = take_reals(arena, m * d.Vp);
    work->dy = take_reals(arena, m * d.Cp), work->dx = take_reals(arena, m * d.Cp), work->d_attn = take_reals(arena, m * d.Cp);
    work->scores = EXACT || !heads_in_lanes(d) ? take_reals(arena, m * d.Tp) : NULL;
    for (int l = 0; l < d.L; l++) {
        Layer *layer = layers ? &layers[l] : &unused;
        layer->x = take_reals(arena, n * d.Cp), layer->x_norm1 = take_reals(arena, n * d.Cp);
        layer->scale1 = take_reals(arena, n), layer->slope1 = take_reals(arena, n);
        layer->qkv = take_reals(arena, kept * 3 * d.Cp);
        layer->attn_weights = take_reals(arena, n * attention_width(d));
        layer->attn_exps = EXACT ? take_reals(arena, n * attention_width(d)) : layer->attn_weights;
        layer->attn_scale = take_reals(arena, n * d.H), layer->attn_slope = take_reals(arena, n * d.H);
        layer->x_attn = take_reals(arena, n * d.Cp), layer->x_mid = take_reals(arena, n * d.Cp);
        layer->x_norm2 = take_reals(arena, n * d.Cp);
        layer->scale2 = take_reals(arena, n), layer->slope2 = take_reals(arena, n);
        layer->h = take_reals(arena, n * d.Fp), layer->relu = d.relu2 ? take_reals(arena, n * d.Fp) : layer->h;
        layer->dqkv = take_reals(arena, m * 3 * d.Cp), layer->dx_mid = take_reals(arena, m * d.Cp);
        layer->dh = take_reals(arena, m * d.Fp), layer->dx_out = take_reals(arena, m * d.Cp);
    }
}

static int open_work(Dims d, Work *work, int rows, int backward) {
    Arena arena = {0};
    lay_out_work(&arena, d, work, rows, backward);
    arena = (Arena){allocate(arena.used), 0};
    if (!arena.memory) return 0;
    lay_out_work(&arena, d, work, rows, backward);
    work->memory = arena.memory;
    work->hop = backward ? 1 : d.T;
    return 1;
}

/* The table of matrices, in the order of the flat buffers. wq, wk and wv lie side by side in one transposed matrix, so
that one product gives queries, keys and values. */
static void lay_out_matrices(Net *net) {
    const Dims d = net->d;
    for (int i = 0; i < net->num_matrices; i++) {
        const int which = i < FIRST_LAYER ? -1 : (i - FIRST_LAYER) % LAYER_MATRICES;
        const int rows = i == WPE ? d.T : i < FIRST_LAYER ? d.V : which == MLP_FC1 ? d.F : d.C;
        const int columns = which == MLP_FC2 ? d.F : d.C;
        const int in_qkv = which >= ATTN_WQ && which <= ATTN_WV;
        Matrix *matrix = &net->matrices[i];
        *matrix = (Matrix){rows, columns, padded(columns), net->flat_size, net->size, net->turned_size,
                           in_qkv ? 3 * d.Cp : padded(rows)};
        net->flat_size += (size_t)rows * columns;
        net->size += (size_t)matrix->stride * (i < LM_HEAD ? rows : padded(rows));
        if (which == ATTN_WQ || which == ATTN_WK)
            net->turned_size += d.Cp;
        else if (i >= LM_HEAD)
            net->turned_size += (size_t)matrix->stride * matrix->turned_stride - (in_qkv ? 2 * d.Cp : 0);
    }
}

/* The rows of [wq; wk; wv], in the order in which their gradients reach what they read. */
static void lay_out_order(Net *net) {
    const Dims d = net->d;
    int32_t *next = net->order, *next_first = net->first_order;
    for (int h = d.H - 1; h >= 0; h--) {
        for (int part = 2; part >= 0; part--)
            for (int j = d.D - 1; j >= 0; j--) *next++ = part * d.Cp + h * d.D + j;
        for (int j = d.D - 1; j >= 0; j--) *next_first++ = 2 * d.Cp + h * d.D + j;
        for (int j = d.D - 1; j >= 0; j--)
            for (int part = 1; part >= 0; part--) *next_first++ = part * d.Cp + h * d.D + j;
    }
}

static void net_close(Net *net) {
    if (!net) return;
    release(net->work.memory);
    release(net->memory);
    release(net->matrices);
    release(net);
}

static void lay_out_net(Arena *arena, Net *net) {
    net->order = take(arena, 3 * net->d.C * sizeof(int32_t)), net->first_order = take(arena, 3 * net->d.C * sizeof(int32_t));
    net->weights.w = take_reals(arena, net->size), net->weights.w_turned = take_reals(arena, net->turned_size);
    net->m = take_reals(arena, net->size), net->v = take_reals(arena, net->size), net->grads = take_reals(arena, net->size);
    net->embedding_grads = EXACT ? take_reals(arena, net->matrices[LM_HEAD].at) : NULL;
}

/* A wave has at most so many rows for each thread, or one document: its activations stay near. */
enum { WAVE_ROWS = 128 };

static Net *net_open(const Settings *s) {
    Net *net = allocate(sizeof(Net));
    if (!net) return NULL;
    const int C = s->n_embd, H = s->n_head, V = s->vocab_size, T = s->block_size;
    net->settings = *s;
    net->d = (Dims){T, C, H, C / H, V, s->n_layer, 4 * C, padded(C), padded(4 * C), padded(V), padded(T), s->relu2};
    net->inverse_C = pow(C, -1.0), net->attn_factor = pow(pow(net->d.D, 0.5), -1.0);
    net->wave_rows = T > WAVE_ROWS * s->threads ? T : WAVE_ROWS * s->threads;
    net->num_matrices = FIRST_LAYER + LAYER_MATRICES * s->n_layer;
    net->matrices = allocate(net->num_matrices * sizeof(Matrix));
    if (!net->matrices) return net_close(net), NULL;
    lay_out_matrices(net);
    Arena arena = {0};
    lay_out_net(&arena, net);
    arena = (Arena){allocate(arena.used), 0};
    if (!arena.memory) return net_close(net), NULL;
    lay_out_net(&arena, net);
    net->memory = arena.memory;
    lay_out_order(net);
    return net;
}

/* ours = flat / unit, row by row */
static void copy_in(const Net *net, const double *flat, double unit, real *ours) {
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->rows; r++) {
            const double *from = flat + matrix->flat + (size_t)r * matrix->columns;
            real *to = ours + matrix->at + (size_t)r * matrix->stride;
            for (int c = 0; c < matrix->columns; c++) to[c] = (real)(from[c] / unit);
        }
    }
}

static void copy_out(const Net *net, const real *ours, double unit, double *flat) {
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->rows; r++) {
            const real *from = ours + matrix->at + (size_t)r * matrix->stride;
            double *to = flat + matrix->flat + (size_t)r * matrix->columns;
            for (int c = 0; c < matrix->columns; c++) to[c] = from[c] * unit;
        }
    }
}

/* m and v may be NULL: then only the parameters are wanted. */
static void net_load(Net *net, const double *params, const double *m, const double *v) {
    copy_in(net, params, 1, net->weights.w);
    for (int i = LM_HEAD; i < net->num_matrices; i++)
        turn(&net->matrices[i], net->weights, 0, net->matrices[i].rows, net->matrices[i].stride);
    if (m) copy_in(net, m, unit1(&net->settings), net->m);
    if (v) copy_in(net, v, unit2(&net->settings), net->v);
}

static void net_store(const Net *net, double *params, double *m, double *v) {
    copy_out(net, net->weights.w, 1, params);
    copy_out(net, net->m, unit1(&net->settings), m);
    copy_out(net, net->v, unit2(&net->settings), v);
}

/* Adam on the flat buffers themselves, in our precision, so that it gives what `train` gives. */
static void net_update(const Net *net, double *params, double *grads, double *m, double *v, int64_t n, int64_t step,
                       double learning_rate) {
    const Adam a = adam_of_step(&net->settings, step, learning_rate);
    real w[ADAM_BLOCK] __attribute__((aligned(64))), g[ADAM_BLOCK] __attribute__((aligned(64)));
    real first[ADAM_BLOCK] __attribute__((aligned(64))), second[ADAM_BLOCK] __attribute__((aligned(64)));
    const unsigned mode = flush_denormals();
    for (int64_t at = 0; at < n; at += ADAM_BLOCK) {
        const int count = n - at < ADAM_BLOCK ? (int)(n - at) : ADAM_BLOCK;
        for (int i = 0; i < padded(count); i++) {
            const int64_t j = at + (i < count ? i : 0); /* the padding repeats a number that is there */
            w[i] = (real)params[j], g[i] = (real)grads[j];
            first[i] = (real)(m[j] / unit1(&net->settings)), second[i] = (real)(v[j] / unit2(&net->settings));
        }
        adam_block(&a, padded(count), w, first, second, g);
        for (int i = 0; i < count; i++) {
            params[at + i] = w[i], grads[at + i] = 0;
            m[at + i] = first[i] * unit1(&net->settings), v[at + i] = second[i] * unit2(&net->settings);
        }
    }
    restore_denormals(mode);
}

/* --- Steps, on one thread or several -------------------------------------------------------------------------------- */

/* Threads share a step in two ways: forward and backward they take units, a few documents each; the weights' gradients
and Adam they take by rows of the matrices, each over all documents, so that no gradient is stored, sums keep their order,
and the number of threads changes no number. A batch of more rows than net->wave_rows is computed in several waves. */

/* What the threads of one call share. Each walks through the same steps; barriers keep them together. */
typedef struct {
    Net *net;
    Documents documents;
    const int32_t *batch_sizes;
    const double *learning_rates;
    double weight; /* backward: 1 / total; train: 0, for 1 / the size of the batch */
    double *losses;
    int64_t step;
    int steps;
    double deadline;
    /* of the step at hand */
    size_t *token_at; /* where the documents of the batch start; one more for the end */
    int32_t *row_at;  /* their first rows in the work; one more for the end */
    double *document_losses;
    int32_t *unit_at; /* the first document of each unit; one more for the end */
    int32_t *wave_at; /* the first unit of each wave; one more for the end */
    int32_t *ends;    /* the last row of each sum of gradients, plus 1: of each unit (exact), of each wave (float32) */
    size_t tokens_done, documents_done;
    double work_since_look;
    int begun; /* backward: net->grads holds what the gradient is added to */
    int done, stop, batch, units, waves;
    Tickets tickets;
    atomic_int arrived, generation;
} Run;

static double seconds_now(void) {
#ifdef __wasm__
    return 0;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#endif
}

/* No thread goes on before all are here; then tickets are drawn anew. */
static void barrier(Run *run) {
    if (run->tickets.threads == 1) {
        atomic_store_explicit(&run->tickets.next, 0, memory_order_relaxed);
        return;
    }
#ifndef __wasm__
    const int generation = atomic_load_explicit(&run->generation, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&run->arrived, 1, memory_order_acq_rel) == run->tickets.threads - 1) {
        atomic_store_explicit(&run->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&run->tickets.next, 0, memory_order_relaxed);
        atomic_store_explicit(&run->generation, generation + 1, memory_order_release);
        return;
    }
    /* Whoever has waited for long sleeps a moment: a thread that wakes is put on an idle core, where one that only yields may
    share a core with the other for good. */
    const struct timespec moment = {0, 1000};
    for (int spins = 0; atomic_load_explicit(&run->generation, memory_order_acquire) == generation; spins++)
        if (spins > 200000) nanosleep(&moment, NULL);
#endif
}

static int positions_of(const Net *net, int32_t length) { return length - 1 < net->d.T ? length - 1 : net->d.T; }

/* The next batch: its documents, units and waves; or stop, where the steps or the time are over. */
static void plan(Run *run) {
    const Net *net = run->net;
    run->stop = run->done == run->steps;
    if (run->stop) return;
    if (run->work_since_look > 2e7) { /* multiplications: some milliseconds; looking at the clock costs time too */
        run->work_since_look = 0;
        run->stop = seconds_now() > run->deadline;
        if (run->stop) return;
    }
    run->batch = run->batch_sizes[run->done];
    const int32_t *lengths = run->documents.lengths + run->documents_done;
    const int unit_rows = run->tickets.threads == 1 ? WAVE_ROWS : WAVE_ROWS / 4; /* small ones end at about the same time */
    int row = 0, unit_start = 0;
    run->units = run->waves = 0;
    run->token_at[0] = run->tokens_done;
    for (int i = 0; i < run->batch; i++) {
        const int n = positions_of(net, lengths[i]);
        run->token_at[i + 1] = run->token_at[i] + lengths[i];
        if (i == 0 || row + n > net->wave_rows) run->wave_at[run->waves++] = run->units, row = unit_start = 0;
        if (row == 0 || EXACT || row + n - unit_start > unit_rows) run->unit_at[run->units++] = i, unit_start = row;
        run->row_at[i] = row;
        run->ends[(EXACT ? run->units : run->waves) - 1] = row += n;
        run->work_since_look += (double)n * net->size;
    }
    run->work_since_look += net->size;
    run->unit_at[run->units] = run->batch;
    run->wave_at[run->waves] = run->units;
    run->tokens_done = run->token_at[run->batch];
    run->documents_done += run->batch;
}

/* The rows of a document. */
static void set_rows(const Run *run, int document) {
    const Work *work = &run->net->work;
    const double weight = run->weight ? run->weight : 1.0 / run->batch;
    const int32_t *tokens = run->documents.tokens + run->token_at[document];
    const int n = positions_of(run->net, (int32_t)(run->token_at[document + 1] - run->token_at[document]));
    for (int t = 0, first = run->row_at[document]; t < n; t++) {
        work->token[first + t] = tokens[t], work->target[first + t] = tokens[t + 1];
        work->position[first + t] = t, work->first[first + t] = first;
        work->dloss[first + t] = (real)(1.0 / n * weight);
    }
}

/* -log p of n rows from `row` on, added up. */
INLINE double surprise_of_rows(const Work *work, int row, int n) {
    double sum = work->surprise[row];
    for (int r = row + 1; r < row + n; r++) sum += work->surprise[r];
#if !EXACT
    double product = 1;
    for (int r = row; r < row + n; r++) {
        product *= work->total[r]; /* at least about 1, and far below 1e100 */
        if (product > 1e200) sum += log(product), product = 1;
    }
    sum += log(product);
#endif
    return sum;
}

/* Forward and backward over a unit; its documents' losses. */
INLINE void unit_pass(Dims d, const Run *run, int unit) {
    const Net *net = run->net;
    const Work *work = &net->work;
    const int first = run->unit_at[unit], last = run->unit_at[unit + 1] - 1;
    const int from = run->row_at[first];
    const int to = run->row_at[last] + positions_of(net, (int32_t)(run->token_at[last + 1] - run->token_at[last]));
    for (int i = first; i <= last; i++) set_rows(run, i);
    embedding_forward(d, net->weights.w + net->matrices[WTE].at, net->weights.w + net->matrices[WPE].at, work, from, to);
    forward(d, net, net->weights, work, from, to, 0);
    cross_entropy(d, work, from, to);
    backward(d, net, work, from, to);
    for (int i = first; i <= last; i++) {
        const int row = run->row_at[i], n = (i < last ? run->row_at[i + 1] : to) - row;
        run->document_losses[i] = surprise_of_rows(work, row, n) * (1.0 / n);
    }
}

/* Standard sizes, with as many letters as names have, get code in which they are constants; everything else shares one.
From 64 on nearly all time goes into products, which have their own code: there it is the attention that gains. */
#define IF_SIZE(size, call)                                                                                            \
    if ((OWN_CODE || size == 16) && d.C == size && d.H == 4 && d.Vp == padded(27) && !d.relu2) {                       \
        d.C = size, d.H = 4, d.D = size / 4, d.F = 4 * size, d.Cp = padded(size), d.Fp = padded(4 * size);             \
        d.Vp = padded(27), d.relu2 = 0;                                                                                \
        call;                                                                                                          \
    } else

NOINLINE void unit_pass_any(const Run *run, int unit) {
    Dims d = run->net->d;
    IF_SIZE(16, unit_pass(d, run, unit)) IF_SIZE(64, unit_pass(d, run, unit)) unit_pass(d, run, unit);
}

NOINLINE void weights_backward_any(const Gradient *gradient, Tickets *tickets) {
    Dims d = gradient->net->d;
    IF_SIZE(16, weights_backward(d, gradient, tickets)) weights_backward(d, gradient, tickets);
}

/* The loss of the batch at hand: a sum from left to right. */
static double batch_loss(const Run *run) {
    double loss = 0;
    for (int i = 0; i < run->batch; i++) loss += run->document_losses[i];
    return loss * (run->weight ? run->weight : 1.0 / run->batch);
}

/* The step at hand: one thread's share of it. Returns the loss; where it is not finite, there is no update. */
static double run_step(Run *run) {
    const Net *net = run->net;
    double loss = 0;
    for (int wave = 0, waves = run->waves; wave < waves; wave++) {
        const int first = run->wave_at[wave], units = run->wave_at[wave + 1] - first;
        for (int unit = draw(&run->tickets); unit < units; unit = draw(&run->tickets)) unit_pass_any(run, first + unit);
        barrier(run);
        Gradient gradient = {net, NULL, wave > 0 || run->begun, EXACT ? units : 1, run->ends + (EXACT ? first : wave)};
        Adam a;
        if (wave == waves - 1) {
            loss = batch_loss(run);
            if (run->learning_rates) {
                a = adam_of_step(&net->settings, run->step + run->done + 1, run->learning_rates[run->done]);
                gradient.adam = &a;
            }
        }
        if (!gradient.adam || isfinite(loss)) weights_backward_any(&gradient, &run->tickets);
        barrier(run);
    }
    return loss;
}

/* A loss that is not finite ends the run. */
static void run_steps(Run *run, int thread) {
    const unsigned mode = flush_denormals();
    for (;;) {
        if (thread == 0) plan(run);
        barrier(run);
        if (run->stop) break;
        const double loss = run_step(run);
        if (thread == 0) {
            run->losses[run->done++] = loss;
            if (!isfinite(loss)) run->steps = run->done;
        }
    }
    restore_denormals(mode);
}

#ifndef __wasm__
typedef struct {
    Run *run;
    int thread;
    pthread_t id;
} Helper;

static void *helper_main(void *helper) {
    run_steps(((Helper *)helper)->run, ((Helper *)helper)->thread);
    return NULL;
}
#endif

/* How many rows the largest wave of the steps has. */
static int rows_of_waves(const Net *net, const Run *run) {
    const int32_t *lengths = run->documents.lengths;
    int most = 0;
    for (int step = 0; step < run->steps; step++)
        for (int i = 0, row = 0; i < run->batch_sizes[step]; i++, lengths++) {
            const int n = positions_of(net, *lengths);
            row = row + n > net->wave_rows ? n : row + n;
            if (row > most) most = row;
        }
    return most;
}

/* Room for so many rows in net->work; 0 where memory is out. */
static int make_room(Net *net, int rows) {
    if (rows <= net->capacity) return 1;
    release(net->work.memory);
    net->capacity = open_work(net->d, &net->work, rows, 1) ? rows : 0;
    return net->capacity > 0;
}

/* Runs the steps on as many threads as could be started; returns how many were done, or -1 where memory is out. */
static int run_all(Run *run) {
    int largest_batch = 0;
    for (int i = 0; i < run->steps; i++)
        if (run->batch_sizes[i] > largest_batch) largest_batch = run->batch_sizes[i];
    const size_t count = largest_batch + 1;
    run->token_at = allocate(count * sizeof(size_t));
    run->document_losses = allocate(count * sizeof(double));
    run->row_at = allocate(4 * count * sizeof(int32_t));
    run->tickets.threads = 1;
    if (!run->token_at || !run->row_at || !run->document_losses || !make_room(run->net, rows_of_waves(run->net, run))) {
        run->done = -1;
    } else {
        run->unit_at = run->row_at + count, run->wave_at = run->unit_at + count, run->ends = run->wave_at + count;
#ifndef __wasm__
        const int wanted = largest_batch > 1 ? run->net->settings.threads : 1;
        Helper helpers[wanted];
        for (int i = 1; i < wanted; i++) helpers[i] = (Helper){run, i, 0};
        run->tickets.threads = wanted;
        for (int i = 1; i < wanted; i++)
            if (pthread_create(&helpers[i].id, NULL, helper_main, &helpers[i])) {
                run->tickets.threads = i;
                break;
            }
        run_steps(run, 0);
        for (int i = 1; i < run->tickets.threads; i++) pthread_join(helpers[i].id, NULL);
#else
        run_steps(run, 0);
#endif
    }
    release(run->token_at), release(run->row_at), release(run->document_losses);
    return run->done;
}

/* The gradient of one batch, added to grads; 0 where memory is out. */
static int net_backward(Net *net, double *grads, Documents documents, int batch, double weight, double *loss) {
    const int32_t batch_sizes[1] = {batch};
    Run run = {.net = net, .documents = documents, .batch_sizes = batch_sizes, .weight = weight, .losses = loss, .steps = 1};
    run.begun = EXACT; /* float64 sums go on where they stood; float32 ones start from 0 and are added in float64 */
    if (EXACT) copy_in(net, grads, 1, net->grads);
    if (run_all(&run) < 0) return 0;
    for (int i = 0; i < net->num_matrices; i++) {
        const Matrix *matrix = &net->matrices[i];
        for (int r = 0; r < matrix->rows; r++)
            for (int c = 0; c < matrix->columns; c++) {
                const real ours = net->grads[matrix->at + (size_t)r * matrix->stride + c];
                double *sum = grads + matrix->flat + (size_t)r * matrix->columns + c;
                *sum = EXACT ? ours : *sum + ours;
            }
    }
    return 1;
}

/* As many of the steps as there is time for; returns how many, -1 where memory is out. step: how many were made before. */
static int net_train(Net *net, Documents documents, const int32_t *batch_sizes, const double *learning_rates, int64_t step,
                     int steps, double seconds, double *losses) {
    Run run = {.net = net, .documents = documents, .batch_sizes = batch_sizes, .learning_rates = learning_rates,
               .losses = losses, .step = step, .steps = steps, .deadline = seconds_now() + seconds};
    return run_all(&run);
}

/* --- Decoding: forward, one position at a time, over the weights of the moment when it was opened ------------------- */

struct Decoder {
    const Net *net;
    Weights weights;
    Work work; /* a row for each stream; a layer's qkv starts with the position at hand, before which lie the earlier ones */
    int streams, position;
    void *memory;
};

static void decoder_close(Decoder *decoder) {
    if (!decoder) return;
    release(decoder->work.memory);
    release(decoder->memory);
    release(decoder);
}

static Decoder *decoder_open(const Net *net, int streams) {
    Decoder *decoder = allocate(sizeof(Decoder));
    if (!decoder) return NULL;
    decoder->net = net, decoder->streams = streams;
    decoder->memory = allocate((net->size + net->turned_size) * sizeof(real));
    if (!decoder->memory || !open_work(net->d, &decoder->work, streams, 0)) return decoder_close(decoder), NULL;
    decoder->weights.w = decoder->memory, decoder->weights.w_turned = decoder->weights.w + net->size;
    memcpy(decoder->weights.w, net->weights.w, net->size * sizeof(real));
    memcpy(decoder->weights.w_turned, net->weights.w_turned, net->turned_size * sizeof(real));
    return decoder;
}

INLINE void feed(Dims d, Decoder *decoder) {
    const Net *net = decoder->net;
    const real *w = decoder->weights.w;
    embedding_forward(d, w + net->matrices[WTE].at, w + net->matrices[WPE].at, &decoder->work, 0, decoder->streams);
    if (decoder->streams == 1)
        forward(d, net, decoder->weights, &decoder->work, 0, 1, 1);
    else
        forward(d, net, decoder->weights, &decoder->work, 0, decoder->streams, 0);
}

static void copy_logits(int n, const real *from, double *to) {
#if defined(__AVX512F__) && !EXACT
    for (int j = 0; j < n; j += 8) {
        const __mmask8 lanes = n - j < 8 ? (__mmask8)((1 << (n - j)) - 1) : 0xff;
        _mm512_mask_storeu_pd(to + j, lanes, _mm512_cvtps_pd(_mm256_load_ps(from + j)));
    }
#else
    for (int j = 0; j < n; j++) to[j] = from[j];
#endif
}

/* One token for each stream; logits: (streams, V). */
static void decoder_feed(Decoder *decoder, const int32_t *token_ids, double *logits) {
    Dims d = decoder->net->d;
    const Work *work = &decoder->work;
    for (int s = 0; s < decoder->streams; s++)
        work->token[s] = token_ids[s], work->position[s] = decoder->position, work->first[s] = s * d.T - decoder->position;
    IF_SIZE(16, feed(d, decoder)) feed(d, decoder);
    for (ptrdiff_t s = 0; s < decoder->streams; s++) copy_logits(d.V, work->logits + s * d.Vp, logits + s * d.V);
    for (int l = 0; l < d.L; l++) work->layers[l].qkv += 3 * d.Cp;
    decoder->position++;
}

static void decoder_rewind(Decoder *decoder) {
    const Dims d = decoder->net->d;
    for (int l = 0; l < d.L; l++) decoder->work.layers[l].qkv -= (ptrdiff_t)3 * d.Cp * decoder->position;
    decoder->position = 0;
}

#define NAME_OF2(isa, precision) kernel_##isa##_##precision
#define NAME_OF(isa, precision) NAME_OF2(isa, precision)
#define TEXT_OF2(x) #x
#define TEXT_OF(x) TEXT_OF2(x)
#if FLOAT64
#define PRECISION exact
#else
#define PRECISION float32
#endif

extern const Kernel NAME_OF(ISA, PRECISION);
const Kernel NAME_OF(ISA, PRECISION) = {
    TEXT_OF(ISA), net_open, net_close, net_load, net_store, net_backward, net_train, net_update,
    decoder_open, decoder_close, decoder_feed, decoder_rewind,
};
#endif
