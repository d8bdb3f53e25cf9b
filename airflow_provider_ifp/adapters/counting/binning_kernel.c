/* Numbers into the bins of a profile, compiled; `binning_kernel.py` hands the memory over and says what it means.

No value is copied, nothing is allocated, and nothing is kept between calls. Compiled without -ffast-math: NaN,
infinities and subnormal numbers count. */

#include <math.h>
#include <stdint.h>

/* One library for all processors of an architecture: each loop is compiled for several, and the best is taken. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif

/* What was compiled: `binning_kernel.py` takes no library of another source. */
const char source_digest[] = SOURCE_DIGEST;

/* Values that stay in the first-level cache while loops pass over them. */
enum { BLOCK = 1024 };

/* Where to look for the interval of a value: the line between the first and the last edge is cut into equal parts,
each part into equal cells. `starts` says of each cell how many edges lie in the cells before it. */
typedef struct {
    const double *edges; /* ascending, the last one infinite */
    const double *slopes, *intercepts; /* of each part: cell = slope x place + intercept */
    const int32_t *starts;
    double low, scale, last; /* place = (value - low) x scale, at most `last`; its whole part is the part's number */
} Table;

typedef struct {
    double largest, centre, first, last, low, high; /* what is asked */
    double sum, squares, shortfall, excess, smallest, greatest;
    int64_t finite, minus_infinite, plus_infinite, under, over;
} Moments;

/* Add to `up_to[e]` the rows whose value is at most `edges[e]`; NaN is at most none. */
EACH_PROCESSOR
void count_up_to(const double *values, int64_t rows, const double *edges, int64_t edge_count, int64_t *up_to)
{
    for (int64_t start = 0; start < rows; start += BLOCK) {
        int64_t size = rows - start < BLOCK ? rows - start : BLOCK;
        const double *block = values + start;
        int64_t edge = 0;
        /* Four at a time: each value is fetched once for them. */
        for (; edge + 4 <= edge_count; edge += 4) {
            double a = edges[edge], b = edges[edge + 1], c = edges[edge + 2], d = edges[edge + 3];
            int64_t to_a = 0, to_b = 0, to_c = 0, to_d = 0;
#pragma omp simd reduction(+ : to_a, to_b, to_c, to_d)
            for (int64_t row = 0; row < size; row++) {
                to_a += block[row] <= a;
                to_b += block[row] <= b;
                to_c += block[row] <= c;
                to_d += block[row] <= d;
            }
            up_to[edge] += to_a;
            up_to[edge + 1] += to_b;
            up_to[edge + 2] += to_c;
            up_to[edge + 3] += to_d;
        }
        for (; edge < edge_count; edge++) {
            double a = edges[edge];
            int64_t to_a = 0;
#pragma omp simd reduction(+ : to_a)
            for (int64_t row = 0; row < size; row++)
                to_a += block[row] <= a;
            up_to[edge] += to_a;
        }
    }
}

/* Find the cell of each value. It never falls where the value rises, whatever is rounded; NaN lies in the first. */
EACH_PROCESSOR
void find_cells(const double *values, int64_t rows, const Table *table, int32_t *restrict cells)
{
    const double low = table->low, scale = table->scale, last = table->last;
    const double *slopes = table->slopes, *intercepts = table->intercepts;
#pragma omp simd
    for (int64_t row = 0; row < rows; row++) {
        double place = (values[row] - low) * scale;
        place = place > 0 ? place : 0;
        place = place < last ? place : last;
        int32_t part = (int32_t)place;
        cells[row] = (int32_t)(slopes[part] * place + intercepts[part]);
    }
}

/* Of at most BLOCK values. */
EACH_PROCESSOR
static void add_moments(const double *values, int64_t rows, Moments *of)
{
    const double centre = of->centre, first = of->first, last = of->last;
    double sum = 0, squares = 0, shortfall = 0, excess = 0, smallest = INFINITY, greatest = -INFINITY;
    int64_t finite = 0, under = 0, over = 0;
#pragma omp simd reduction(+ : sum, squares, shortfall, excess, finite) reduction(min : smallest) \
    reduction(max : greatest)
    for (int64_t row = 0; row < rows; row++) {
        double value = values[row], below = first - value, above = value - last;
        double offset = value == value ? value - centre : 0;
        sum += offset;
        squares += offset * offset;
        shortfall += below > 0 ? below : 0;
        excess += above > 0 ? above : 0;
        smallest = value < smallest ? value : smallest;
        greatest = value > greatest ? value : greatest;
        finite += value == value;
    }
    /* Few blocks have such values: they are taken out, and the others are added up again. */
    if (smallest < -of->largest || greatest > of->largest) {
        double kept[BLOCK];
        for (int64_t row = 0; row < rows; row++) {
            double value = values[row];
            int minus_infinite = value < -of->largest, plus_infinite = value > of->largest;
            kept[row] = minus_infinite || plus_infinite ? NAN : value;
            of->minus_infinite += minus_infinite;
            of->plus_infinite += plus_infinite;
            of->under += minus_infinite && value < of->low;
            of->over += plus_infinite && value > of->high;
        }
        add_moments(kept, rows, of);
        return;
    }
    if (smallest < of->low || greatest > of->high)
        for (int64_t row = 0; row < rows; row++) {
            under += values[row] < of->low;
            over += values[row] > of->high;
        }
    of->sum += sum;
    of->squares += squares;
    of->shortfall += shortfall;
    of->excess += excess;
    of->smallest = smallest < of->smallest ? smallest : of->smallest;
    of->greatest = greatest > of->greatest ? greatest : of->greatest;
    of->finite += finite;
    of->under += under;
    of->over += over;
}

/* Add to `intervals[e]` the rows between `edges[e - 1]` and `edges[e]`, the latter included; NaN is in the first. */
void count_intervals(
    const double *values, int64_t rows, const Table *table, int64_t *restrict intervals, Moments *moments)
{
    const double *restrict edges = table->edges;
    const int32_t *restrict starts = table->starts;
    int32_t cells[BLOCK];
    for (int64_t start = 0; start < rows; start += BLOCK) {
        int64_t size = rows - start < BLOCK ? rows - start : BLOCK;
        const double *block = values + start;
        find_cells(block, size, table, cells);
        for (int64_t row = 0; row < size; row++) {
            double value = block[row];
            int64_t edge = starts[cells[row]], left = starts[cells[row] + 1] - edge;
            /* Most cells have one edge or none; of a crowded one, halves. An edge beyond the cell does no harm. */
            for (; left > 1; left -= left / 2)
                edge += edges[edge + left / 2 - 1] < value ? left / 2 : 0;
            edge += edges[edge] < value;
            intervals[edge]++;
        }
        add_moments(block, size, moments);
    }
}

/* Add to `found[lane][code]` the rows of each code, in as many lanes (a power of two) as the caller adds up: one
counter is not written again before it was written. Returns the rows whose code is not below `codes`. */
int64_t count_codes(const int32_t *values, int64_t rows, int64_t codes, int64_t lanes, int64_t *found)
{
    int64_t outside = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t code = values[row];
        if (code >= 0 && code < codes)
            found[(row & (lanes - 1)) * codes + code]++;
        else
            outside++;
    }
    return outside;
}
