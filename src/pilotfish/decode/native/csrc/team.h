/* The threads of one step: who does what, and where they wait for one another. */
#ifndef PF_TEAM_H
#define PF_TEAM_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() ((void)0)
#endif

typedef struct {
    _Alignas(64) atomic_int waiting;
    _Alignas(64) atomic_int round;
} Barrier;

typedef struct {
    int id, count;
    Barrier *barrier;
} Team;

/* Waits for all. It spins, since phases take microseconds; on a busy machine it lets others run. */
static inline void together(const Team *team) {
    if (team->count == 1) return;
    Barrier *b = team->barrier;
    int now = atomic_load_explicit(&b->round, memory_order_acquire);
    if (atomic_fetch_add_explicit(&b->waiting, 1, memory_order_acq_rel) == team->count - 1) {
        atomic_store_explicit(&b->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&b->round, now + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&b->round, memory_order_acquire) == now; spins++) {
        if (spins < 4096) RELAX();
        else sched_yield();
    }
}

/* This thread's part [from, to) of `total` equal pieces. */
static inline void part(const Team *team, int64_t total, int64_t *from, int64_t *to) {
    *from = total * team->id / team->count;
    *to = total * (team->id + 1) / team->count;
}

#endif
