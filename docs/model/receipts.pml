/* receipts.pml: how far members have got, told to an inbox.
 *
 * Stands for store/receipt.go, receiptwriter.go and watermark.go (one watermark a member, moved forward with a stamp), the acks in
 * api/inbox.go (openInbox), store/inboxreceipt.go, and what poller/inboxread.go, inboxscan.go, inboxmarks.go, inboxreceipt.go
 * do with receipts.
 *
 * Models: R members of one conversation whose devices are given events; a cursor that comes back notes what was given as delivered; one
 * transaction makes the note durable, or it is forgotten. As horizon.pml has it, a move's stamp lies in (closed, h] and never falls along
 * a row. The inbox of another member learns of moves in three ways: its node reads what it has itself moved (run), its node's sweep reads
 * what moved above the last K, and the inbox reads what moved above its cursor's T when it begins, or when more than MAXR receipts
 * waited and the rest was dropped (lost). Between such a read and the handing over anything may happen. The node
 * keeps a book of the highest that it has read of each row, and gives that instead of a lower one (by value: two moves may have the same
 * stamp); what has a stamp <= T, or <= T1 when the cursor was in the middle of a scan, was given before and is not given again.
 *
 * The sweep: read closed; in a later statement the moves; hand them over; only then publish closed as K. The inbox: a scan reads T1 = closed,
 * and receipts above T in a later statement, before it gives anything; then T = T1. A Read looks at K, then gives the receipts that wait;
 * T takes that K at the next Read. A cursor goes out behind the receipts of its Read. In the middle of a scan it says (T, T1): the receipts
 * up to T1 came before, and such a scan may leave the others to the one that follows. The connection may break CUTS times: what is on its way is lost; the client keeps what it knows and returns
 * with its last cursor, to the same node or to one whose K is anything up to closed.
 *
 * With SNAPSHOT a client that has no cursor yet makes a first connect: T is closed as it is (from=now) or 0 (from=start), T1 is read, then
 * in a later statement all watermarks, which it is shown with the cursor (T, T1) before anything else. The book notes those above T.
 *
 * Left out: events but for the cursors on them (resume.pml), members who come and go, the 256 members up to which receipts name
 * people, several kinds of receipt (they share the row), that somebody hides what they read.
 *
 * Checked. Nothing is told before it is delivered and durable (`early`); nothing goes `back` to who knows more; and when nothing can
 * move any more the latest is known of every row (`missing`). Repeats are allowed.
 */
#ifndef R
#define R 1             /* members whose receipts move */
#endif
#ifndef V
#define V 2             /* events */
#endif
#ifndef HM
#define HM 2            /* stamps 1..HM */
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef MAXR
#define MAXR 1          /* receipts that wait for an inbox, at most */
#endif
byte h = 1, closed = 0;
byte dev[R];                    /* what the member's device has got */
byte noted[R];                  /* in the memory of the receipt writer */
byte w[R], ws[R];               /* the watermarks and their stamps */
bit moved[R];                   /* fed by this node's writer, not read yet */

byte K, kn, round;              /* the sweep: 1 closed is read, 2 the moves are, 3 all is handed over */
bit rb;                         /* run has read */
byte rv[2*R], rs[2*R];          /* values and stamps: what run has read, then what the sweep has */

byte wait[R], wst[R];           /* waits for the inbox: value, stamp; stamp 0: nothing */
bit lost;
byte T, T1, since, kq, given;   /* since: the receipts up to it were given before */
byte book[R], bs[R];            /* the node's: value and stamp of the latest that it has read of a row */
bit scan = 1, resumed;
#ifdef SNAPSHOT
bit fresh = 1, keyed;           /* a first connect that has shown nothing; the client has a cursor */
byte shown, shownstamp;         /* what the snapshot has read of the row */
#else
#define fresh 0
#endif
byte step;                      /* 0 between Reads, 1 gives receipts, 2 gives what carries a cursor */
byte lT, lT1;                   /* the last cursor sent */

byte has[R], kT, kT1;           /* the client */
byte cuts = CUTS;
chan wire = [2] of { byte, byte, byte };    /* row, value, 0; or R, T, T1 */

#if R == 1
#define WAITING (wst[0] > 0)
#else
#define WAITING (wst[0] > 0 || wst[1] > 0)
#endif

#ifdef NOBOOK                   /* control: who has read earlier, and is later to hand over, takes a receipt back */
#define newest(r,v,s) skip
#else
inline newest(r,v,s) { if :: s > 0 && v > book[r] -> book[r] = v; bs[r] = s :: s > 0 && v <= book[r] -> v = book[r]; s = bs[r] :: else fi }
#endif
inline put(r,v,s) {             /* oweReceipt */
	if
	:: s == 0
#ifdef NOLOST                   /* control: what finds no room is dropped, and that is forgotten */
	:: s > 0 && over -> skip
#else
	:: s > 0 && over -> lost = 1
#endif
	:: s > 0 && !over ->
		wait[r] = v; wst[r] = s
	fi
}
inline handover(at) {
	i = 0;
	do
	:: i < R -> over = 0; n = 0; j = 0; do :: j < R -> n = n + (wst[j] > 0 -> 1 : 0); j++ :: else -> break od; j = 0;
		if :: n >= MAXR -> over = 1 :: else fi; n = 0;
		newest(i,rv[at+i],rs[at+i]); put(i,rv[at+i],rs[at+i]); rv[at+i] = 0; rs[at+i] = 0; over = 0; i++
	:: else -> break
	od; i = 0
}
inline read(at,above) {     /* one statement: what moved above a stamp */
	i = 0; do :: i < R -> if :: ws[i] > above -> rv[at+i] = w[i]; rs[at+i] = ws[i] :: else fi; i++ :: else -> break od; i = 0
}

/* A device gets an event; its cursor comes back; the note is stored. */
#define MEMBER(r) \
	:: d_step { dev[r] < V && closed < HM -> dev[r]++ } \
	:: d_step { noted[r] < dev[r] && closed < HM -> noted[r] = dev[r] } \
	:: atomic { noted[r] > w[r] && closed < HM -> \
		s = (closed+1 > ws[r] -> closed+1 : ws[r]); do :: s < h && s < HM -> s++ :: break od; \
		w[r] = noted[r]; ws[r] = s; s = 0; \
		if :: moved[r] = 1 :: true fi }    /* this node's, or another one's */
active proctype Members() {
	byte s;
end:	do
	MEMBER(0)
#if R == 2
	MEMBER(1)
#endif
#ifdef ACKSENT                  /* control: what was sent counts as delivered */
	:: d_step { noted[0] <= dev[0] && dev[0] < V && closed < HM -> noted[0] = dev[0] + 1 }
#endif
#ifdef FEEDEARLY                /* control: a move is fed before it is committed */
	:: d_step { noted[0] > w[0] && closed < HM && !rb -> rb = 1; rv[0] = noted[0]; rs[0] = h }
#endif
	:: h <= HM -> h++
	:: closed + 1 < h -> closed++
	od
}

active proctype Node() {
	byte i, j, n;
	bit over;
end:	do
	:: d_step { !rb && (moved[0]
#if R == 2
		|| moved[1]
#endif
		) -> read(0,K); i = 0; do :: i < R -> if :: !moved[i] -> rv[i] = 0; rs[i] = 0 :: else fi; moved[i] = 0; i++ :: else -> break od; i = 0; rb = 1 }
	:: d_step { rb -> handover(0); rb = 0 }
#ifdef MOVESFIRST               /* control: the sweep reads the moves, and closed in a later statement */
	:: d_step { round == 0 && closed > K -> read(R,K); round = 1 }
	:: d_step { round == 1 -> kn = closed; round = 2 }
#else
	:: d_step { round == 0 && closed > K -> kn = closed; round = 1 }
	:: d_step { round == 1 -> read(R,K); round = 2 }
#endif
#ifdef PUBLISHEARLY             /* control: K is published before the receipts are handed over */
	:: d_step { round == 2 -> K = kn; kn = 0; round = 3 }
	:: d_step { round == 3 -> handover(R); round = 0 }
#else
	:: d_step { round == 2 -> handover(R); round = 3 }
	:: d_step { round == 3 -> K = kn; kn = 0; round = 0 }
#endif
	od
}

inline give(r) {
	d_step { step == 1 && !lost && wst[r] > 0 && nfull(wire) -> newest(r,wait[r],wst[r]);
		if
#ifdef ABOVET                   /* control: asks about T alone, in the middle of a scan too */
		:: wst[r] <= T -> skip
#elif !defined(NOSINCE)         /* control: gives what the node hands over, behind the cursor or not */
		:: wst[r] <= since -> skip
#endif
		:: else -> wire!r,wait[r],0
		fi; wait[r] = 0; wst[r] = 0 }
}
inline cursor() { d_step { step == 2 && nfull(wire) && (lT != T || lT1 != T1) -> wire!R,T,T1; lT = T; lT1 = T1 } }
active proctype Inbox() {
	byte i;
end:	do
#ifdef SNAPSHOT
	/* A first connect, on its way to step 1 of its scan. */
	:: atomic { fresh && step == 0 -> if :: T = closed :: T = 0; lost = 1 fi; since = T; T1 = 0; step = 3 }
	:: d_step { step == 3 -> T1 = closed; if :: T1 <= T -> T1 = 0 :: else fi; step = 4 }
	:: d_step { step == 4 -> shown = w[0]; shownstamp = ws[0]; step = 5 }
#ifdef SNAPBARE                 /* control: what the snapshot shows is not noted */
	:: d_step { step == 5 && nfull(wire) -> if :: shownstamp > 0 -> wire!0,shown,0 :: else fi; shownstamp = 0; step = 6 }
#else
	:: d_step { step == 5 && nfull(wire) -> if :: shownstamp > 0 -> wire!0,shown,0 :: else fi; if :: shownstamp > since -> newest(0,shown,shownstamp) :: else fi; shownstamp = 0; step = 6 }
#endif
	:: d_step { step == 6 && nfull(wire) -> wire!R,T,T1; lT = T; lT1 = T1; fresh = 0; shown = 0; step = 1 }
#endif
	/* A scan: step 0 begins it, 1 gives receipts, 2 events. */
#ifdef READFIRST                /* control: the receipts are read before T1 is */
	:: d_step { scan && !fresh && step == 0 -> lost = 1; step = 1 }
	:: d_step { scan && step == 1 && !lost && !WAITING -> if :: !resumed -> T1 = closed; if :: T1 <= T -> T1 = 0 :: else fi :: else fi; step = 2 }
#else
	:: d_step { scan && !fresh && step == 0 -> if :: !resumed -> T1 = closed; if :: T1 <= T -> T1 = 0 :: else fi :: else fi; lost = 1; step = 1 }
	:: d_step { scan && step == 1 && !lost && !WAITING -> step = 2 }
	/* A small page of a resumed scan leaves them to the scan that follows. */
	:: d_step { scan && !fresh && step == 0 && resumed -> lost = 1; step = 2 }
#endif
#ifdef LEAVEALL                 /* control: one that is not resumed does so too */
	:: d_step { scan && !fresh && step == 0 && !resumed -> T1 = closed; if :: T1 <= T -> T1 = 0 :: else fi; lost = 1; step = 2 }
#endif
	:: d_step { scan && step == 2 -> step = 0; if :: T1 > 0 -> T = T1; T1 = 0; since = T :: else fi; scan = resumed; resumed = 0 }
	/* A Read of what is owed. */
	:: d_step { !scan && step == 0 && given > T -> T = given; since = T }
	:: d_step { !scan && step == 0 && given <= T && (K > T || WAITING || lost) -> step = 1; kq = K }
	:: d_step { !scan && step == 1 && !lost && !WAITING -> step = 2 }
#ifdef OWEDFIRST                /* control: gives the receipts that wait, and then reads K */
	:: d_step { !scan && step == 2 -> given = (K > T -> K : T); kq = 0; step = 0 }
#else
	:: d_step { !scan && step == 2 -> given = (kq > T -> kq : T); kq = 0; step = 0 }
#endif
	/* Both. */
	:: d_step { step == 1 && lost ->
		i = 0;
		do
		:: i < R ->
#ifdef SINCET1                  /* control: a scan that begins reads only what moved above its T1 */
			if :: ws[i] > (T1 > 0 -> T1 : since) -> wait[i] = w[i]; wst[i] = ws[i]; newest(i,wait[i],wst[i]) :: else fi;
#else
			if :: ws[i] > since -> wait[i] = w[i]; wst[i] = ws[i]; newest(i,wait[i],wst[i]) :: else fi;
#endif
			i++
		:: else -> break
		od; i = 0; lost = 0 }
	:: give(0)
#if R == 2
	:: give(1)
#endif
	:: cursor()
	/* The connection breaks. */
	:: atomic { d_step { cuts > 0 -> cuts--;
			do :: len(wire) > 0 -> wire?_,_,_ :: else -> break od;
			i = 0; do :: i < R -> wait[i] = 0; wst[i] = 0; i++ :: else -> break od; i = 0;
			T = kT; T1 = kT1; since = (T1 > 0 -> T1 : T); scan = 1; resumed = (T1 > 0 -> 1 : 0); step = 0; lost = 0;
#ifdef SNAPSHOT
			fresh = !keyed; shown = 0; shownstamp = 0;
#endif
			kq = 0; given = 0; lT = T; lT1 = T1 };
		if
		:: true                                     /* the same node, */
		:: d_step { K = 0; i = 0; do :: i < R -> moved[i] = 0; book[i] = 0; bs[i] = 0; i++ :: else -> break od; i = 0 };    /* or another one, */
			do :: K < closed && (round == 0 || K < kn) -> K++ :: break od;
			if :: true                                  /* in the middle of the same, or of nothing */
			:: d_step { kn = 0; round = 0; rb = 0; i = 0; do :: i < 2*R -> rv[i] = 0; rs[i] = 0; i++ :: else -> break od; i = 0 } fi
		fi }
	od
}

active proctype Client() {
	byte r, x, y;
	bit early, back, missing;
end:	do
	:: d_step { wire?r,x,y ->
		if
		:: r == R -> kT = x; kT1 = y;
#ifdef SNAPSHOT
			keyed = 1
#endif
		:: else -> early = (x > w[r] || x > dev[r]); assert(!early);
			back = (x < has[r]); assert(!back);
			has[r] = x
		fi; r = 0; x = 0; y = 0 }
	:: timeout ->               /* nothing moves any more */
		d_step { r = 0; do :: r < R -> missing = missing || has[r] != w[r]; r++ :: else -> break od; assert(!missing) };
		break
	od
}
