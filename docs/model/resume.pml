/* resume.pml: one reader of the inbox: its cursor, its returns, and the sweep that its node makes for all readers.
 *
 * The world. NC conversations get events as horizon.pml allows: a commit's stamp lies in (closed, h] and never falls along a
 * log; an open transaction is that freedom of choice. The user is in conversation 0 throughout; the others they join, leave and
 * rejoin at any moment. Every commit sends a hint to the reader's node, which may be lost.
 *
 * The node. Topics follow hints. One sweep serves all readers: read closed; in later statements the memberships changed above the
 * last round's K (each updates its reader's interests), then the heads of conversations with events above it (each is
 * fed to its topic, and owed to the readers interested in it); only then publish closed as the new K.
 *
 * The reader. (1) Register for membership changes, and the interests that the memberships give. (2) Read T1 = closed. (3) In a
 * later statement read the memberships again. (4) Scan slot by slot to the last event with stamp <= T1; then T = T1.
 * From then on it asks the store for nothing it is not owed: T becomes K when nothing is owed. If what is owed has no room in
 * the cursor, it scans again, with T1 = K. Whatever its topics have, it delivers at once, also while it scans.
 *
 * The cursor, in every frame: T, T1 and slot of the scan, exceptions. CAP exceptions fit beside the scan's own place; an event,
 * seen or passed over, whose cursor would not fit waits. A conversation without an exception stands at its last event with
 * stamp <= T (<= T1 in slots that the scan has passed), also in the reader's memory. The connection may break CUTS times:
 * frames on the way are lost, and the client returns with its last cursor to a node whose K is anything up to closed, which may
 * be in the middle of a round, and whose topics know nothing or lag.
 *
 * Left out: the bytes of the cursor, replicas, `history: all`, hidden events (like others), retention, a sweep whose statement
 * fails (the round begins anew), other readers (they share the node's K and nothing else), receipts (receipts.pml).
 *
 * Checked. The client gets of each conversation exactly the events from its joining to its removal, both included, in order,
 * once: no `stranger`, no `twice`, no `missing`; and nothing is `missing` when nothing can move any more. No execution is
 * endless, so nobody waits for ever while the sweep runs.
 */
#ifndef NC
#define NC 2            /* conversations, 2 or 3; a conversation's number is its slot */
#endif
#ifndef L
#define L 2             /* events in a conversation, at most */
#endif
#ifndef L0
#define L0 L            /* the same in conversation 0 */
#endif
#ifndef HM
#define HM 2            /* stamps 1..HM */
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef WIRE
#define WIRE 1          /* frames on the way to the client */
#endif
#ifdef REGLAST                  /* control: T1 is read, and only then the reader registers */
#define REG (step == 3)
#else
#define REG true
#endif
#ifdef PUBLISHEARLY
byte since;
#define SINCE since
#else
#define SINCE K
#endif
#define RING 1          /* events that a ring keeps; only the control OVERRUN asks */
#define IX(c,s)  ((c)*(L+2)+(s))
#define ST(c,s)  st[IX(c,s)]

/* The database. */
byte h = 1, closed = 0;
byte ln[NC], st[NC*(L+2)];      /* the logs: their length, the events' stamps */
bit vis[NC*(L+2)];              /* may the user read it */
bit chg[NC*(L+2)];              /* is it the user's own joining or removal */
bit mem[NC];                    /* is the user a member now */
bit hint[NC];                   /* under way to the reader's node */

/* The reader's node. */
byte K, kn;                     /* published; read by the round that runs */
byte round = 0;                 /* 0 none runs, 1 closed is read, 2 memberships are, 3 heads are too */
byte head[NC];                  /* the topics */

/* The reader. */
byte T, c0, slot;               /* T, T1, the scan's place */
bit scan;
byte step = 1;                  /* 1 registered, 2 T1 is read, 3 the memberships are read again */
byte pos[NC], owed[NC];
bit known[NC];                  /* interests */
#ifdef RINGNOMEM
bit in[NC];
#endif

/* The client: what it has, and the cursor of its last frame. */
byte got[NC], kT, kT1, kslot, ke[NC];
byte cuts = CUTS;
chan wire = [WIRE] of { byte, byte, byte, byte, byte, byte, byte, byte };  /* c, seq; T, T1, slot, exceptions */

#define REF(c)   (scan && (c) < slot -> c0 : T)
#define EXC(c)   (pos[c] > 0 && ST(c,pos[c]) > REF(c))                     /* the cursor must name it … */
#ifdef OWNFREE                  /* control: in the scan's own slot events beyond T1 cost nothing either */
#define OWN(c,s) (scan && (c) == slot)
#else
#define OWN(c,s) (scan && (c) == slot && ST(c,s) <= c0)                    /* … unless it is the scan's own place */
#endif
#define CNT(c)   (EXC(c) && !OWN(c,pos[c]) -> 1 : 0)
#define NEW(c)   (ST(c,pos[c]+1) > REF(c) && !OWN(c,pos[c]+1) -> 1 : 0)
#if NC == 2
#define SUM      (CNT(0) + CNT(1))
#define OWING    (pos[0] < owed[0] || pos[1] < owed[1])
#define STUCK    (pos[0] < owed[0] && FULL(0) || pos[1] < owed[1] && FULL(1))
#else
#define SUM      (CNT(0) + CNT(1) + CNT(2))
#define OWING    (pos[0] < owed[0] || pos[1] < owed[1] || pos[2] < owed[2])
#define STUCK    (pos[0] < owed[0] && FULL(0) || pos[1] < owed[1] && FULL(1) || pos[2] < owed[2] && FULL(2))
#endif
#ifdef NOHOLD                   /* control: delivers although the cursor is full */
#define FULL(c)  false
#define NAME(c)  (SUM > CAP && !OWN(c,pos[c]) -> 0 : (EXC(c) -> pos[c] : 0))
#else
#define FULL(c)  (SUM - CNT(c) + NEW(c) > CAP)
#ifdef SCANBARE                 /* control: the scan form is T, T1, slot and its place, without exceptions */
#define NAME(c)  (scan && (c) != slot -> 0 : (EXC(c) -> pos[c] : 0))
#else
#define NAME(c)  (EXC(c) -> pos[c] : 0)
#endif
#endif
#if NC == 3
#define NAME2 NAME(2)
#else
#define NAME2 0
#endif
#define FITS(c)  (len(wire) < WIRE && !FULL(c))
#ifdef SKIPFREE                 /* control: passes over what is not the member's even where the cursor is full */
#define NEXT(c)  (pos[c] < ln[c] && (!vis[IX(c,pos[c]+1)] || FITS(c)))
#else
#define NEXT(c)  (pos[c] < ln[c] && FITS(c))
#endif
#define CT1      (scan -> c0 : 0)
#define CSL      (scan -> slot : 0)
#define LIVE(c)  (known[c] && pos[c] < head[c] && NEXT(c))
#define PASSED(c) (!known[c] || pos[c] == ln[c] || ST(c,pos[c]+1) > c0)

inline frame(c) { wire!c,pos[c],T,CT1,CSL,NAME(0),NAME(1),NAME2 }
inline go(c) {                  /* the reader goes on by one event of c */
	pos[c]++;
	if :: pos[c] >= owed[c] -> owed[c] = 0 :: else fi;
	if
#ifdef RINGNOMEM                /* control: after the removal it goes by memory, and reads the ring on */
	:: in[c] || vis[IX(c,pos[c])] -> frame(c); if :: chg[IX(c,pos[c])] -> in[c] = !in[c] :: else fi
#else
	:: vis[IX(c,pos[c])] -> frame(c)
#endif
	:: else                     /* before the joining, after the removal: passed over */
	fi
}
inline place(c) {               /* no exception: the last event with stamp <= T, or T1 */
	if
	:: !EXC(c) -> do :: pos[c] < ln[c] && ST(c,pos[c]+1) <= REF(c) -> pos[c]++ :: else -> break od;
		if :: pos[c] >= owed[c] -> owed[c] = 0 :: else fi
	:: else
	fi
}
inline places() { i = 0; do :: i < NC -> place(i); i++ :: else -> break od; i = 0 }
inline look(c,above) {          /* a membership of the user in c, present or ended, changed above a stamp */
	j = 1;
	do
	:: j <= ln[c] -> if :: chg[IX(c,j)] && ST(c,j) > above -> known[c] = 1 :: else fi; j++
	:: else -> break
	od; j = 0
}
inline memberships() {          /* the reader's statement */
	known[0] = 1; i = 1; do :: i < NC -> look(i,0); i++ :: else -> break od; i = 0
}
inline changed() {              /* the sweep's */
	i = 1;
	do
	:: REG && i < NC ->
#ifdef CURRENTONLY              /* control: it adds present memberships only */
		if :: mem[i] -> look(i,SINCE) :: else fi;
#else
		look(i,SINCE);
#endif
#ifdef DROPENDED                /* control: it drops the interest of an ended membership, before heads are owed */
		if :: !mem[i] -> known[i] = 0 :: else fi;
#endif
		i++
	:: else -> break
	od; i = 0
}

inline commit(c) {
	atomic { closed < HM && ln[c] < (c == 0 -> L0 : L) ->
		s = (closed+1 > ST(c,ln[c]) -> closed+1 : ST(c,ln[c]));
		do :: s < h && s < HM -> s++ :: break od;
		ln[c]++; ST(c,ln[c]) = s; s = 0;
		if
		:: c == 0 -> vis[IX(c,ln[c])] = 1
		:: c > 0 && mem[c] -> vis[IX(c,ln[c])] = 1; if :: mem[c] = 0; chg[IX(c,ln[c])] = 1 :: true fi
		:: c > 0 && !mem[c] -> if :: mem[c] = 1; vis[IX(c,ln[c])] = 1; chg[IX(c,ln[c])] = 1 :: true fi
		fi;
		if :: hint[c] = 1 :: true fi }
}
active proctype Writers() {
	byte s;
end:	do
	:: commit(0) :: commit(1)
#if NC == 3
	:: commit(2)
#endif
	:: h <= HM -> h++
#ifdef IDLESTOP                 /* control: h stands still although its events are not closed */
	:: true -> break
#endif
	:: closed + 1 < h -> closed++
	od
}

inline fed(c) {                 /* a hint comes; the filler reads up to it */
	d_step { hint[c] -> hint[c] = 0; head[c] = ln[c]; look(c,0) }
}
inline owe(c) {                 /* m: a head that the statement saw, which is one above all events with stamp <= closed */
	if
	:: ST(c,ln[c]) > SINCE ->
		m = ln[c]; do :: m > 0 && ST(c,m) > kn -> m-- :: break od;
		if :: head[c] < m -> head[c] = m :: else fi;
		if :: REG && known[c] && pos[c] < m && owed[c] < m -> owed[c] = m :: else fi; m = 0
	:: else
	fi
}
active proctype Node() {
	byte i, j, m;
end:	do
	:: fed(0) :: fed(1)
#if NC == 3
	:: fed(2)
#endif
	:: d_step { round == 0 && closed > K -> kn = closed; round = 1 }
#ifdef PUBLISHEARLY             /* control: K is published before its conversations are owed */
	:: d_step { round == 1 -> since = K; K = kn; changed(); round = 2 }
#elif defined(SWEEPNOMEM)       /* control: the sweep does not look at memberships */
	:: d_step { round == 1 -> round = 2 }
#else
	:: d_step { round == 1 -> changed(); round = 2 }
#endif
	:: atomic { round == 2 -> owe(0); owe(1);
#if NC == 3
		owe(2);
#endif
		round = 3 }
	:: d_step { round == 3 -> K = kn; kn = 0; round = 0 }
	od
}

active proctype Reader() {
	byte i, j;
#ifdef OWEDFIRST
	bit free;
#endif
	known[0] = 1;
end:	do
	:: d_step { LIVE(0) -> go(0) } :: d_step { LIVE(1) -> go(1) }
#if NC == 3
	:: d_step { LIVE(2) -> go(2) }
#endif
#ifdef OVERRUN                  /* control: a reader that the ring has passed goes on at the ring's start */
	:: d_step { known[0] && pos[0] + RING < head[0] -> pos[0] = head[0] - RING }
#endif
#ifdef NOCATCHUP                /* control: registers and relies on the sweep, without a scan of its own */
	:: d_step { step == 1 && !scan -> step = 3 }
#else
	:: d_step { step == 1 && !scan -> c0 = closed; step = 2 }
#endif
	:: d_step { step == 2 ->
#ifndef MEMFIRST                /* control: the memberships are read before T1, and not again */
		memberships();
#endif
		if :: c0 > T -> scan = 1 :: else -> c0 = 0 fi; step = 3 }
	:: d_step { scan && slot < NC && !PASSED(slot) && NEXT(slot) -> go(slot) }
	:: d_step { scan && slot < NC && PASSED(slot) -> slot++; place(slot-1) }
#ifdef TAFTER                   /* control: closed is read after the scan */
	:: d_step { scan && slot == NC -> T = closed; c0 = 0; scan = 0; slot = 0; places() }
#else
	:: d_step { scan && slot == NC -> T = c0; c0 = 0; scan = 0; slot = 0; places() }
#endif
#if defined(TOWED)              /* control: T moves while something is owed */
	:: d_step { step == 3 && !scan && K > T -> T = K; places() }
#elif defined(OWEDFIRST)        /* control: sees that nothing is owed, and then reads K */
	:: d_step { step == 3 && !scan && !OWING && !free && T < HM -> free = 1 }
	:: d_step { free && step == 3 && !scan && K > T -> free = 0; T = K; places() }
#else
	:: d_step { step == 3 && !scan && K > T && !OWING -> T = K; places() }
#endif
#ifndef NORESCAN                /* control: waits for T to move instead */
	:: d_step { step == 3 && !scan && K > T && STUCK -> c0 = K; scan = 1 }
#endif
	:: atomic { d_step { cuts > 0 -> cuts--;
			do :: len(wire) > 0 -> wire?_,_,_,_,_,_,_,_ :: else -> break od;
			slot = kslot; T = kT; c0 = kT1; scan = (kT1 > 0 -> 1 : 0);
			i = 0;
			do
			:: i < NC -> head[i] = 0; known[i] = 0; owed[i] = 0;
#ifdef EXCDROP                  /* control: forgets the exceptions */
				pos[i] = 0;
#else
				pos[i] = ke[i];
#endif
				place(i); i++
			:: else -> break
			od;
#ifdef RINGNOMEM
			i = 0; do :: i < NC -> in[i] = vis[IX(i,pos[i])]; i++ :: else -> break od;
#endif
			memberships(); step = 1;
#ifdef OWEDFIRST
			free = 0;
#endif
			i = 0; K = 0; kn = 0; round = 0 };
		do :: K < closed -> K++ :: break od;        /* the node that it comes to */
		if
		:: K < closed -> kn = K+1; do :: kn < closed -> kn++ :: break od; if :: round = 1 :: round = 2 :: round = 3 fi
		:: true
		fi;
		i = 0; do :: i < NC -> if :: hint[i] = 1 :: true fi; i++ :: else -> break od; i = 0 }
	od
}

active proctype Client() {
	byte c, s, j;
	bit stranger, twice, missing;
end:	do
	:: d_step { wire?c,s,kT,kT1,kslot,ke[0],ke[1],j ->
#if NC == 3
		ke[2] = j;
#endif
		stranger = !vis[IX(c,s)]; assert(!stranger);
		twice = (s <= got[c]); assert(!twice);
		j = got[c] + 1; do :: j < s -> missing = missing || vis[IX(c,j)]; j++ :: else -> break od; assert(!missing);
		got[c] = s; c = 0; s = 0; j = 0 }
	:: timeout ->               /* nothing moves any more: everything has arrived */
		d_step { c = 0;
			do
			:: c < NC -> j = got[c] + 1; do :: j <= ln[c] -> missing = missing || vis[IX(c,j)]; j++ :: else -> break od; c++
			:: else -> break
			od; assert(!missing) };
		break
	od
}
