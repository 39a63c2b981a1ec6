/* horizon.pml: stamps, horizons, and how a horizon is closed.
 *
 * Stands for store/postgres/horizon.go (Stamp, CloseHorizon), batchcall.go and batch.go (the stamp of a batch), and all that calls
 * Stamp: store/structure.go (conversations, members), watermark.go (receipts), session.go (revocations).
 *
 * Models: NW connections that write without end. Each locks rows (conversations; -DUSERROW: then a row of another kind, as structural
 * changes do), by waiting or by SKIP LOCKED; takes an h it may have seen long ago, the guess; tries that h's shared lock; reads h again
 * in a later statement; commits with stamp = h if it is still the same, else tries again (batch.go, Stamp) or gives up (batchcall.go). It
 * may abort, or break, which frees its locks. A retried writer keeps its old shared locks to the end. NM movers, on any nodes: read h,
 * closed and the newest stamp in one statement; if that stamp is not closed, move h by compare-and-set if it is the newest; read (h, closed)
 * again; for each k below h take k's exclusive lock in a transaction of its own, then set closed = k where closed = k-1. A mover may fail at
 * any step (and go on with a new call: no step is tied to the mover that began it). A read is a statement of its own and sees the committed
 * row (READ COMMITTED); a COMMIT is visible before its locks are freed; an UPDATE of the horizon row waits for another one's.
 *
 * Leaves out: seqs and texts, lock timeouts (a timeout is an abort), fail-over (a new epoch), SQLite (one writer: a stamp is closed by
 * its commit), that the call's tried lock comes in the statement of its row locks (a guess costs nothing there: h is read later).
 *
 * P1  once closed >= s, nothing with stamp <= s becomes visible         assert(!late)
 * P2  stamps never fall along a conversation                            assert(!falling)
 * P3  no deadlock of row locks, advisory locks and the horizon's row    no invalid end state; with -DNOCRASH, so no crash hides one
 * P4  whatever was committed is closed in the end, if one mover lives   ltl p4 (-DPROGRESS -DMOVERDIES), weak fairness
 * P5  a writer that stands still for ever stalls no other writer        -DFROZEN: no invalid end state
 *
 * The controls, marked so below, must each fail as `check` says.
 */
#ifndef NW
#define NW 2            /* writers */
#endif
#ifndef NM
#define NM 2            /* movers */
#endif
#ifndef NC
#define NC 2            /* conversations */
#endif
#ifndef HM
#define HM 3            /* h runs 1..HM */
#endif
#define BIT(k)  (1 << (k))
#ifdef KEYMOD           /* advisory keys reused, key = h mod KEYMOD: safe, and slower */
#define KEY(k)  ((k) % KEYMOD)
#else
#define KEY(k)  (k)
#endif
#define SHFREE(k) (!ex[k] && xq[k] == 0)   /* a shared request queues behind an exclusive one */
#ifdef NOCRASH
#define CR
#define CRW
#define FAIL
#else
#define CR   :: goto rb
#define CRW  :: goto rb                     /* also while it waits */
#define FAIL :: atomic { true -> k = 0; n = 0; t = 0; if :: hrow == me+1 -> hrow = 0 :: else fi; goto top }
#endif
#ifdef MOVERDIES
#undef FAIL
#define FAIL :: atomic { me == 0 -> if :: hrow == me+1 -> hrow = 0 :: else fi; goto dead }
#endif

byte h = 1, closed = 0;         /* the horizon row, as committed */
byte hrow = 0;                  /* who has it locked by an open UPDATE */
byte newest = 0;                /* of all committed stamps */
byte sh[HM+1]; byte xq[HM+1]; bit ex[HM+1];  /* advisory: shared holders, exclusive queue, exclusive holder */
byte row[NC+1];                 /* row locks: conversations, then the other row */
byte last[NC];                  /* stamp of the newest committed event of a conversation */
bit late, falling;

inline unlock_all() {           /* end of transaction, or of the connection */
	d_step {
		c = 0; do :: c <= NC -> if :: row[c] == me+1 -> row[c] = 0 :: else fi; c++ :: else -> break od;
		c = 0; do :: c <= HM -> if :: mine & BIT(c) -> sh[c]-- :: else fi; c++ :: else -> break od;
		mine = 0; got = 0; a = 0; b = 0; c = 0
	}
}

proctype Writer(byte me) {
	byte c, got, mine, a, b;
again:
#ifdef STAMP_FIRST              /* control: the stamp before the row locks */
	goto stamp;
rows:
#endif
#ifdef BLOCKING
	do                          /* conversation rows, in key order, each waited for */
	:: c < NC ->
		if
		:: c++                                               /* not in this batch */
		:: atomic { row[c] == 0 -> row[c] = me+1; got = got | BIT(c); c++ }
		:: row[c] != 0 -> if :: atomic { row[c] == 0 -> row[c] = me+1; got = got | BIT(c); c++ } CRW fi
		fi
	:: c == NC -> c = 0; break
	od;
	if :: got == 0 -> goto rb :: else fi;
#else
	atomic {                    /* SKIP LOCKED: any of the free ones */
		do
		:: c < NC -> if :: c++ :: row[c] == 0 -> row[c] = me+1; got = got | BIT(c); c++ fi
		:: c == NC -> break
		od;
		c = 0; if :: got == 0 -> goto rb :: else fi
	};
#endif
#ifdef USERROW
	if :: true :: true -> if :: atomic { row[NC] == 0 -> row[NC] = me+1 } CRW fi CR fi;
#endif
#ifdef STAMP_FIRST
	goto insert;
#endif
stamp:
	atomic { a = h; do :: a > 1 -> a-- :: break od };       /* h as this node has seen it some time, or as read now */
	goto lock;
reread:
	a = h;                                                  /* refused: h has moved on */
lock:
#ifdef SAMESTMT                 /* control: lock and re-read in one statement: its snapshot is from before the lock */
	b = h;
#endif
#ifndef WAIT
	if
	:: mine & BIT(KEY(a))
	:: atomic { !(mine & BIT(KEY(a))) && SHFREE(KEY(a)) -> sh[KEY(a)]++; mine = mine | BIT(KEY(a)) }
	:: atomic { !(mine & BIT(KEY(a))) && !SHFREE(KEY(a)) -> if :: goto reread :: goto rb fi }
	fi;
#else                           /* control, with FROZEN: a lock that waits */
	if
	:: mine & BIT(KEY(a))
	:: atomic { !(mine & BIT(KEY(a))) && SHFREE(KEY(a)) -> sh[KEY(a)]++; mine = mine | BIT(KEY(a)) }
	CRW
	fi;
#endif
#ifndef NOREREAD                /* control: h is not read again */
	if
#ifndef SAMESTMT
	:: b = h
#else
	:: true
#endif
	CR
	fi;
	if
	:: a != b -> a = b; b = 0; goto lock                    /* the old lock stays until the transaction ends */
	:: a != b -> b = 0; goto rb
	:: else -> b = 0
	fi;
#endif
#ifdef STAMP_FIRST
	c = 0; goto rows;
#endif
#ifdef LATELOCK                 /* control: something that waits after the stamp is taken */
	if :: true :: row[NC] != me+1 -> if :: atomic { row[NC] == 0 -> row[NC] = me+1 } CRW fi CR fi;
#endif
insert:
#ifdef FROZEN
	if :: me == 0 -> false :: true fi;    /* writer 0 may stand still for ever, its transaction open */
#endif
	if
	:: d_step {                 /* COMMIT: visible, locks still held */
		late = (a <= closed); assert(!late);
		if :: newest < a -> newest = a :: else fi;
		c = 0;
		do
		:: c < NC -> if :: got & BIT(c) -> falling = falling || a < last[c]; last[c] = a :: else fi; c++
		:: else -> break
		od; assert(!falling); c = 0; b = 0 }
	CR                          /* abort, crash, or lost connection before COMMIT took effect */
	fi;
rb:	unlock_all();
	goto again
}

inline excl(q) {                /* taken and released */
	xq[KEY(q)]++;
	if
	:: atomic { sh[KEY(q)] == 0 && !ex[KEY(q)] -> xq[KEY(q)]--; ex[KEY(q)] = 1 }
#ifdef MOVERDIES
	:: atomic { me == 0 -> xq[KEY(q)]--; goto dead }
#elif !defined(NOCRASH)
	:: atomic { xq[KEY(q)]--; t = 0; k = 0; n = 0; goto top }
#endif
	fi;
	ex[KEY(q)] = 0
}

proctype Mover(byte me) {
	byte t, k, n;
top:
end:
	if
	:: d_step { newest > closed && closed < HM-1 -> t = h; k = (newest >= h && h < HM -> 1 : 0) }    /* one statement */
	:: h == HM && closed == HM-1 -> goto dead
	fi;
	if
	:: k == 0
	:: k == 1 ->
#ifdef CLOSE_EARLY              /* control: takes the lock before h is committed, and not after */
		excl(t);
#endif
		atomic { hrow == 0 -> hrow = me+1 };                /* UPDATE … WHERE h = t */
		if
		:: d_step { h == t -> h = t+1; hrow = 0 }
		:: d_step { h != t -> hrow = 0; k = 0 }
		FAIL
		fi
	fi;
#ifdef JUMP                     /* control: each mover closes the h that it moved, over unclosed ones */
	d_step { n = t+1; k = t; t = 0 };
#elif defined(OWNONLY)          /* control: who moved h closes it, and nobody else */
	d_step { n = (k == 1 -> t+1 : 0); k = (k == 1 -> t : 0); t = 0 };
#else
	d_step { t = 0; k = closed+1; n = h };                  /* one statement */
#endif
	do
	:: k < n ->
#if !defined(NOEXCL) && !defined(CLOSE_EARLY)               /* control: NOEXCL, without the exclusive lock */
		excl(k);
#endif
		if
#ifdef JUMP
		:: d_step { hrow == 0 && k < h -> if :: closed < k -> closed = k :: else fi; k++ }
		:: d_step { k >= h -> k = n }
#else
		:: d_step { hrow == 0 -> if :: closed == k-1 -> closed = k :: else fi; k++ }    /* UPDATE … WHERE closed = k-1 */
#endif
		FAIL
		fi
	:: else -> break
	od;
	k = 0; n = 0;
	goto top;
dead: skip
}
init { byte i; atomic {
	i = 0; do :: i < NW -> run Writer(i); i++ :: else -> break od;
	i = 0; do :: i < NM -> run Mover(i); i++ :: else -> break od } }
#ifdef PROGRESS
#define CLOSED (closed >= newest || h == HM && closed == HM-1)
ltl p4 { [] <> CLOSED }
#endif
