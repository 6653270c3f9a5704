// Run the steps of objectives.py on a GPU: same random numbers, same arithmetic, one warp per span of text.
//
// Constants of the compilation: D floats in a row, K negatives, W the window, and CBOW, PAIRS (negatives per pair),
// DIVIDE (corrected update of CBOW), SUBWORDS (inputs are means of rows), each 0 or 1. WARP lanes share every row, 32 on
// a device; a block has WARPS warps. Without a device the same source compiles as C++: tests/support/cuda/host.h
// replaces lanes and atomics.
//
// Warps train the same weights without a lock (Hogwild), as threads do on a CPU; additions to a row are atomic.

typedef unsigned long long u64;
typedef unsigned int u32;
typedef long long i64;

#define J (1 + K)            // outputs of a step: the target, then the negatives
#define PER_LANE (D / WARP)  // floats of a row in each lane
#define CHUNK (PER_LANE % 4 == 0 ? 4 : PER_LANE % 2 == 0 ? 2 : 1)  // adjacent floats of a lane in memory

#ifdef __CUDACC__
#define LANE (threadIdx.x % WARP)
#define WARP_OF_BLOCK (threadIdx.x / WARP)
#define SPAN ((i64)blockIdx.x * WARPS + WARP_OF_BLOCK)
#define SHARED __shared__
#define SYNC_LANES() __syncwarp()

__device__ float from_lane(float value, int distance) { return __shfl_xor_sync(~0u, value, distance); }

// Load from the second-level cache, where additions happen: the first level may hold stale values.
__device__ void load_chunk(const float* row, float* values) {
    if (CHUNK == 4) {
        float4 four = __ldcg((const float4*)row);
        values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else {
        for (int q = 0; q < CHUNK; q++) values[q] = __ldcg(row + q);
    }
}

__device__ void add_chunk(float* row, const float* values) {
#if __CUDA_ARCH__ >= 900
    if (CHUNK == 4) {
        atomicAdd((float4*)row, make_float4(values[0], values[1], values[2], values[3]));
        return;
    }
#endif
    for (int q = 0; q < CHUNK; q++) atomicAdd(row + q, values[q]);
}
#endif

struct Text {  // kept words, with their positions and sentences, N each
    const u32* ids_N;
    const i64* pos_N;
    const i64* sentence_N;
    i64 num;
};

struct Noise {
    const u32* alias_V2;
    u64 num_words;
    u64 key;
};

struct Bags {  // the rows of every word as input: rows_N[starts_V[v]..starts_V[v + 1]-1], or row v without subwords
    const i64* starts_V;
    const u32* rows_N;
};

struct Sums {
    double loss;
    i64 predictions;
};

__device__ u64 random_bits(u64 key, u64 pos, u64 k) {  // as in core/counter_rng.py
    u64 z = key + 0x9E3779B97F4A7C15ull * ((pos << 20) + k + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

__device__ u32 negative(const Noise& noise, i64 pos, i64 k) {
    u64 bits = random_bits(noise.key, pos, k);
    u64 row = ((bits >> 32) * noise.num_words) >> 32;
    return (u32)bits <= noise.alias_V2[2 * row] ? (u32)row : noise.alias_V2[2 * row + 1];
}

__device__ int place(int p) {  // index in a row of the p-th float of this lane
    return (p / CHUNK * WARP + LANE) * CHUNK + p % CHUNK;
}

__device__ void load(const float* row, float* values) {
#pragma unroll
    for (int p = 0; p < PER_LANE; p += CHUNK) load_chunk(row + place(p), values + p);
}

__device__ void add(float* row, const float* values) {
#pragma unroll
    for (int p = 0; p < PER_LANE; p += CHUNK) add_chunk(row + place(p), values + p);
}

__device__ void add_scaled(float* values, float scale, const float* more) {
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) values[p] += scale * more[p];
}

template <class T>
__device__ T over_lanes(T value) {  // sum over the lanes, in every lane
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2) value = value + from_lane(value, distance);
    return value;
}

__device__ float dot(const float* x, const float* y) {
    float sum = 0;
#pragma unroll
    for (int p = 0; p < PER_LANE; p++) sum += x[p] * y[p];
    return over_lanes(sum);
}

// Return the step of a logit: rate * sign * probability of the wrong answer. Sign 0 masks the logit.
__device__ float step(float logit, float sign, float rate, Sums& sums) {
    float right = logit * sign, small = expf(-fabsf(right));
    if (sign == 0) return 0;
    sums.loss += log1pf(small) + fmaxf(-right, 0);
    return rate * sign * (right > 0 ? small : 1) / (1 + small);
}

__device__ i64 first_row(const Bags& bags, u32 word) { return SUBWORDS ? bags.starts_V[word] : word; }

__device__ float* input_row(const Bags& bags, float* in_VD, i64 n) {
    return in_VD + (SUBWORDS ? (i64)bags.rows_N[n] : n) * D;
}

// Add the rows of a word to a sum, and return their number.
__device__ int sum_rows(const Bags& bags, float* in_VD, u32 word, float* sum) {
    i64 first = first_row(bags, word), last = first_row(bags, word + 1);
    float x[PER_LANE];
    for (i64 n = first; n < last; n++) {
        load(input_row(bags, in_VD, n), x);
        add_scaled(sum, 1.0f, x);
    }
    return (int)(last - first);
}

__device__ void add_to_rows(const Bags& bags, float* in_VD, u32 word, const float* values) {
    for (i64 n = first_row(bags, word); n < first_row(bags, word + 1); n++) add(input_row(bags, in_VD, n), values);
}

// Run the steps of skip-gram with subwords: the mean of the rows of word i predicts the words from..to-1 one after
// another, each with its own negatives. The rows of the mean change at the end, but the mean moves after each step.
__device__ void learn_from_center(const Text& text, const Noise& noise, const Bags& bags, float* in_VD, float* out_VD,
                                  i64 i, i64 from, i64 to, float rate, Sums& sums) {
    float x[PER_LANE] = {}, sum[PER_LANE] = {}, y[PER_LANE], steps[J];
    u32 center = text.ids_N[i], outputs[J];
    int num_rows = sum_rows(bags, in_VD, center, x), repeats = 0;
    for (int p = 0; p < PER_LANE; p++) x[p] /= num_rows;
    for (i64 n = first_row(bags, center); n < first_row(bags, center + 1); n++)
        for (i64 m = first_row(bags, center); m < first_row(bags, center + 1); m++)
            repeats += input_row(bags, in_VD, n) == input_row(bags, in_VD, m);
    for (i64 n = from; n < to; n++) {
        if (n == i) continue;
        float dx[PER_LANE] = {};
#pragma unroll
        for (int j = 0; j < J; j++) {
            outputs[j] = j == 0 ? text.ids_N[n] : negative(noise, text.pos_N[i], (n - i + W - (n > i)) * K + j - 1);
            load(out_VD + (i64)outputs[j] * D, y);
            steps[j] = step(dot(x, y), j == 0 ? 1 : outputs[j] == outputs[0] ? 0 : -1, rate, sums);
            add_scaled(dx, steps[j], y);
        }
#pragma unroll
        for (int j = 0; j < J; j++) {
            float dy[PER_LANE] = {};
            add_scaled(dy, steps[j], x);
            if (steps[j] != 0) add(out_VD + (i64)outputs[j] * D, dy);
        }
        add_scaled(x, (float)repeats / num_rows, dx);
        add_scaled(sum, 1.0f, dx);
        sums.predictions += 1;
    }
    add_to_rows(bags, in_VD, center, sum);
}

// Run one step: the words from..to-1 predict word i. All rows are read before any row is written.
__device__ void learn(const Text& text, const Noise& noise, const Bags& bags, float* in_VD, float* out_VD, i64 i,
                      i64 from, i64 to, i64 first_k, float rate, float* steps_CJ, Sums& sums) {
    u32 outputs[J];
    float signs[J], y[J][PER_LANE], dy[J][PER_LANE];
#pragma unroll
    for (int j = 0; j < J; j++) {
        outputs[j] = j == 0 ? text.ids_N[i] : negative(noise, text.pos_N[i], first_k + j - 1);
        signs[j] = j == 0 ? 1 : outputs[j] == outputs[0] ? 0 : -1;
        load(out_VD + (i64)outputs[j] * D, y[j]);
        for (int p = 0; p < PER_LANE; p++) dy[j][p] = 0;
    }
#if CBOW
    int num_rows = 0;
    float mean[PER_LANE] = {}, dx[PER_LANE] = {};
    for (i64 n = from; n < to; n++)
        if (n != i) num_rows += sum_rows(bags, in_VD, text.ids_N[n], mean);
    for (int p = 0; p < PER_LANE; p++) mean[p] /= num_rows;
#pragma unroll
    for (int j = 0; j < J; j++) {
        float g = step(dot(mean, y[j]), signs[j], rate, sums);
        add_scaled(dx, DIVIDE ? g / num_rows : g, y[j]);
        add_scaled(dy[j], g, mean);
    }
    for (i64 n = from; n < to; n++)
        if (n != i) add_to_rows(bags, in_VD, text.ids_N[n], dx);
    sums.predictions += 1;
#else
    int c = 0;
    float x[PER_LANE];
    for (i64 n = from; n < to; n++) {
        if (n == i) continue;
        load(in_VD + (i64)text.ids_N[n] * D, x);
#pragma unroll
        for (int j = 0; j < J; j++) {
            float g = step(dot(x, y[j]), signs[j], rate, sums);
            if (LANE == 0) steps_CJ[c * J + j] = g;
            add_scaled(dy[j], g, x);
        }
        c++;
    }
    sums.predictions += c;
    SYNC_LANES();
    c = 0;
    for (i64 n = from; n < to; n++) {
        if (n == i) continue;
        float dx[PER_LANE] = {};
#pragma unroll
        for (int j = 0; j < J; j++) add_scaled(dx, steps_CJ[c * J + j], y[j]);
        add(in_VD + (i64)text.ids_N[n] * D, dx);
        c++;
    }
    SYNC_LANES();
#endif
#pragma unroll
    for (int j = 0; j < J; j++)
        if (signs[j] != 0) add(out_VD + (i64)outputs[j] * D, dy[j]);
}

// Train span s: the kept words first_S[s]..last_S[s]-1 as centers, at learning rate rate_S[s].
extern "C" __global__ void train_spans(const u32* ids_N, const i64* pos_N, const i64* sentence_N, i64 num,
                                       const u32* alias_V2, u64 num_words, u64 width_key, u64 noise_key,
                                       const i64* starts_V, const u32* rows_N, float* in_VD, float* out_VD,
                                       const i64* first_S, const i64* last_S,
                                       const float* rate_S, i64 num_spans, double* loss_S, i64* predictions_S) {
    SHARED float steps_SCJ[WARPS][CBOW || SUBWORDS ? 1 : 2 * W * J];
    i64 s = SPAN;
    if (s >= num_spans) return;
    Text text = {ids_N, pos_N, sentence_N, num};
    Noise noise = {alias_V2, num_words, noise_key};
    Bags bags = {starts_V, rows_N};
    Sums sums = {0, 0};
    for (i64 i = first_S[s]; i < last_S[s]; i++) {
        i64 width = 1 + (i64)(((random_bits(width_key, pos_N[i], 0) >> 32) * W) >> 32), from = i, to = i + 1;
        while (from > 0 && i - from < width && sentence_N[from - 1] == sentence_N[i]) from--;
        while (to < num && to - i <= width && sentence_N[to] == sentence_N[i]) to++;
        if (to - from == 1) continue;
#if SUBWORDS && !CBOW
        learn_from_center(text, noise, bags, in_VD, out_VD, i, from, to, rate_S[s], sums);
#elif PAIRS
        for (i64 n = from; n < to; n++)
            if (n != i)
                learn(text, noise, bags, in_VD, out_VD, i, n, n + 1, (n - i + W - (n > i)) * K, rate_S[s],
                      steps_SCJ[WARP_OF_BLOCK], sums);
#else
        learn(text, noise, bags, in_VD, out_VD, i, from, to, 0, rate_S[s], steps_SCJ[WARP_OF_BLOCK], sums);
#endif
    }
    if (LANE == 0) {
        loss_S[s] = sums.loss;
        predictions_S[s] = sums.predictions;
    }
}
