// Define for a C++ compiler what CUDA gives word2vec.cu: here one lane, one thread, one span after another.
#include <cmath>

#define __device__ static
#define __global__
#define WARP_OF_BLOCK 0
#define SPAN host_span
#define SHARED static
#define SYNC_LANES()

#if WARP > 1  // lanes in lockstep
#define LANE host_lane
static int host_lane;
#else
#define LANE 0
#endif
static long long host_span;

struct Lanes {
    float of[32];
    Lanes operator+(const Lanes& other) const {
        Lanes sum;
        for (int lane = 0; lane < 32; lane++) sum.of[lane] = of[lane] + other.of[lane];
        return sum;
    }
};

static Lanes from_lane(const Lanes& value, int distance) {
    Lanes moved;
    for (int lane = 0; lane < 32; lane++) moved.of[lane] = value.of[lane ^ distance];
    return moved;
}
static float from_lane(float value, int) { return value; }

static void load_chunk(const float* row, float* values);
static void add_chunk(float* row, const float* values);
