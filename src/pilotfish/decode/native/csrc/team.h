/* The threads of one step: who does what, and where they wait for one another. */
#ifndef PF_TEAM_H
#define PF_TEAM_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define SPINS 2048 /* about 25 microseconds */

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() ((void)0)
#endif

typedef struct {
    _Alignas(64) atomic_int waiting;
    _Alignas(64) atomic_int round;
    atomic_int asleep;
} Barrier;

typedef struct {
    int id, count;
    Barrier *barrier;
    char *room; /* this thread's own working memory, room_bytes() */
} Team;

static inline void barrier_init(Barrier *b) {
    atomic_init(&b->waiting, 0);
    atomic_init(&b->round, 0);
    atomic_init(&b->asleep, 0);
}

/* Sleep until the round is no longer `now`, or a little less. */
static inline void doze(Barrier *b, int now) {
#ifdef __linux__
    atomic_fetch_add(&b->asleep, 1);
    if (atomic_load(&b->round) == now) syscall(SYS_futex, &b->round, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    atomic_fetch_sub(&b->asleep, 1);
#else
    (void)b, (void)now;
    sched_yield();
#endif
}

/* Waits for all. It spins for a while, since phases take microseconds; then it sleeps, since a thread that is so late has
 * lost its processor to another program, and may need ours. */
static inline void together(const Team *team) {
    if (team->count == 1) return;
    Barrier *b = team->barrier;
    int now = atomic_load(&b->round);
    if (atomic_fetch_add(&b->waiting, 1) == team->count - 1) {
        atomic_store(&b->waiting, 0);
        atomic_store(&b->round, now + 1);
#ifdef __linux__
        if (atomic_load(&b->asleep)) syscall(SYS_futex, &b->round, FUTEX_WAKE_PRIVATE, team->count, NULL, NULL, 0);
#endif
        return;
    }
    for (int spins = 0; atomic_load_explicit(&b->round, memory_order_acquire) == now; spins++) {
        if (spins < SPINS) RELAX();
        else doze(b, now);
    }
}

/* This thread's part [from, to) of `total` equal pieces. */
static inline void part(const Team *team, int64_t total, int64_t *from, int64_t *to) {
    *from = total * team->id / team->count;
    *to = total * (team->id + 1) / team->count;
}

#endif
