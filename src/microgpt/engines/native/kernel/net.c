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

#include "api.h"
#include "simd.h"
#include "layout.h"
#include "exact.h"
#include "fast.h"
#include "matmul.h"
#include "transpose.h"
#include "attention.h"
#include "layers.h"
#include "model.h"
#include "adam.h"
#include "gradients.h"
#include "memory.h"
#include "buffers.h"
#include "train.h"
#include "decode.h"

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
