// Compile word2vec.cu into a library for tests.
#include "host.h"

#include "../../../nlpseq/word2vec/kernels/word2vec.cu"

static void load_chunk(const float* row, float* values) {
    for (int q = 0; q < CHUNK; q++) values[q] = row[q];
}
static void add_chunk(float* row, const float* values) {
    for (int q = 0; q < CHUNK; q++) row[q] += values[q];
}

#if WARP > 1
extern "C" void sum_of_lanes(float* values) { *(Lanes*)values = over_lanes(*(Lanes*)values); }

extern "C" void indices(int* index_LP) {
    for (host_lane = 0; host_lane < WARP; host_lane++)
        for (int p = 0; p < PER_LANE; p++) index_LP[host_lane * PER_LANE + p] = place(p);
}
#else
extern "C" void launch(const u32* ids_N, const i64* pos_N, const i64* sentence_N, i64 num, const u32* alias_V2,
                       u64 num_words, u64 width_key, u64 noise_key, const i64* starts_V, const u32* rows_N,
                       float* in_VD, float* out_VD, const i64* first_S, const i64* last_S, const float* rate_S,
                       i64 num_spans, double* loss_S, i64* predictions_S) {
    for (host_span = 0; host_span < num_spans; host_span++)
        train_spans(ids_N, pos_N, sentence_N, num, alias_V2, num_words, width_key, noise_key, starts_V, rows_N,
                    in_VD, out_VD, first_S, last_S, rate_S, num_spans, loss_S, predictions_S);
}
#endif
