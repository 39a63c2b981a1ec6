/* resume.pml: one inbox, its cursor and its returns, and the sweep of its node.
 *
 * Stands for poller/inbox.go, inboxread.go, inboxscan.go, inboxcursor.go, inboxes.go, inboxmarks.go and store/inbox.go.
 *
 * The world. NC conversations get events as horizon.pml allows: a commit's stamp lies in (closed, h] and never falls along a
 * log; an open transaction is that freedom of choice. The user is in conversation 0 throughout; the others they join, leave and
 * rejoin at any moment. A commit may be fed to the user's node (it was this node's own), which goes by the interests as they are
 * then; else only the sweep finds it.
 *
 * The node. One sweep serves all inboxes: read closed; in a later statement the memberships that changed above the last round's K,
 * ended ones too; then mark the conversations with events above that K as owed to who is interested; only then publish closed as K.
 *
 * The inbox. First it registers, with interests that may be as old as K. Then it scans: read what moved above T, slot by slot, in
 * statements of their own, the first of which gives T1 = closed too; what has a stamp above T1 is owed; give the rest slot by
 * slot up to T1; then T = T1. A scan that a cursor was in the middle of knows nothing of the slots it had passed: another one
 * follows, if something has moved above T1. From then on Reads give what is owed. A Read looks at K before it looks at what is owed; if it leaves nothing owed, T
 * takes that K at the NEXT Read, so that a cursor handed back still names what it acknowledges. When the exceptions of all that is
 * owed would not fit, the inbox scans what it owes, up to K. An absence between two stretches of membership is one hidden
 * event, given with the return behind it: it has that event's stamp.
 *
 * The cursor, in every frame: T, T1 and slot of the scan, exceptions. CAP of them fit beside the scan's own place. A conversation
 * without one stands at its last event with stamp <= T (<= T1 in slots that the scan has passed). The connection may break CUTS
 * times: frames on the way are lost, and the client returns with its last cursor to a node whose K is anything up to closed and
 * which may be in the middle of a round. With ANSWERS the client also gets cursors without an event, as a long-poll's answer has.
 *
 * Left out: the bytes of the cursor, rings and pages (each event is read from the log), `history: all`, retention, a sweep whose
 * statement fails (the round begins anew), other inboxes (they share the node's K and interests), receipts (receipts.pml).
 *
 * Checked. The client gets of each conversation exactly the events from its joining to its removal, both included, in order,
 * once: no `stranger`, no `twice`, no `missing`; nothing is `missing` when nothing can move any more; no cursor is `overfull`.
 * ENDLESS (pan -l): no execution goes on for ever, so nobody waits for ever while the sweep runs.
 * The controls, marked so below, must each fail by the assertion that `check` names.
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
#ifdef PUBLISHEARLY
byte since;
#define SINCE since
#else
#define SINCE K
#endif
#define IX(c,s)  ((c)*(L+2)+(s))
#define ST(c,s)  st[IX(c,s)]

/* The database. */
byte h = 1, closed = 0;
byte ln[NC], st[NC*(L+2)];      /* the logs: their length, the events' stamps */
bit vis[NC*(L+2)];              /* may the user read it */
bit chg[NC*(L+2)];              /* is it the user's own joining or removal */
bit mem[NC];                    /* is the user a member now */
bit fed[NC];                    /* on its way from the store's writer to the inbox */

/* The node. */
byte K, kn;                     /* published; read by the round that runs */
byte round = 0;                 /* 0 none runs, 1 closed is read, 2 memberships are, 3 all is marked */
byte knows[NC];                   /* the interests: 0 none, 1 a member, 2 over */
byte owed[NC];
#ifdef REGLAST                  /* control: registers only when the scan has read what moved */
bit reg = 1;
#define REG reg
#else
#define REG true
#endif

/* The inbox. */
byte T, T1, slot;               /* as the cursor has them; T1 is 0 in the list form */
byte upto;                      /* the scan's T1, also where it is not above T */
byte ld;                        /* the scan has read what moved in the slots before */
byte pend[NC];                  /* and in these something did, up to here */
bit scan = 1, resumed, reading;
byte kq, given;                 /* K as this Read found it; T at the next Read */
byte pos[NC];
#ifdef HIDDENLAST
byte stale[NC];
#endif

/* The client: what it has, and its last cursor. */
byte got[NC], kT, kT1, kslot, ke[NC];
byte cuts = CUTS;
chan wire = [1] of { byte, byte, bit, byte, byte, byte, byte, byte, byte };  /* c, seq, hidden; T, T1, slot, exceptions */

#define REF(c)   (T1 > 0 && (c) < slot -> T1 : T)
#define EXC(c)   (pos[c] > 0 && ST(c,pos[c]) > REF(c))                     /* the cursor must name it … */
#define SLOT     (T1 > 0 -> slot : 0)
#define OWN(c,s) (T1 > 0 && (c) == slot && ST(c,s) <= T1)                  /* … beside or as the scan's own place */
#define CNT(c)   (EXC(c) && !OWN(c,pos[c]) -> 1 : 0)
#ifdef SCANBARE                 /* control: the scan form is T, T1, slot and its place, without exceptions */
#define NAME(c)  (T1 > 0 && (c) != slot -> 0 : (EXC(c) -> pos[c] : 0))
#else
#define NAME(c)  (EXC(c) -> pos[c] : 0)
#endif
#if NC == 2
#define SUM      (CNT(0) + CNT(1))
#define OWING    (owed[0] || owed[1])
#define GIVABLE  (GIVES(0) || GIVES(1))
#define NAME2    0
#else
#define SUM      (CNT(0) + CNT(1) + CNT(2))
#define OWING    (owed[0] || owed[1] || owed[2])
#define GIVABLE  (GIVES(0) || GIVES(1) || GIVES(2))
#define NAME2    NAME(2)
#endif
#ifdef NOHOLD                   /* control: gives although the cursor is full */
#define ROOM(c)  true
#else
#define ROOM(c)  (SUM - CNT(c) + 1 <= CAP)
#endif
#define GIVES(c) (owed[c] && ROOM(c))
#ifdef NORESCAN                 /* control: a full inbox waits for T to move, instead of scanning what it owes */
#define BEGINS   (K > T && !OWING || GIVABLE)
#elif defined(BUSY)             /* control: a full inbox tries again at once, instead of waiting for closed to move */
#define BEGINS   (K > T || OWING)
#else
#define BEGINS   (K > T || GIVABLE)
#endif

inline owe(c,upTo) { if :: REG && pos[c] < upTo && owed[c] < upTo -> owed[c] = upTo :: else fi }
inline next(c) {                /* n: the next event for the user; f: they have been in c before it */
	n = pos[c] + 1; f = 0;
	j = 1; do :: j <= pos[c] -> f = f || vis[IX(c,j)]; j++ :: else -> break od; j = 0;
#ifdef RINGNOMEM                /* control: a current interest reads on behind the removal */
	if :: knows[c] == 1 && f -> skip
	:: else -> do :: n <= ln[c] && !vis[IX(c,n)] -> n++ :: else -> break od fi;
#else
	do :: n <= ln[c] && !vis[IX(c,n)] -> n++ :: else -> break od;
#endif
	if :: n > ln[c] -> n = 0 :: else fi
}
inline frame(c,gap) { overfull = (SUM > CAP); assert(!overfull); wire!c,pos[c],gap,T,T1,SLOT,NAME(0),NAME(1),NAME2 }
inline go(c) {                  /* gives one event, or what is hidden before it */
	if
	:: n > pos[c]+1 && f -> pos[c] = n-1;
#ifdef HIDDENLAST               /* control: behind a hidden event that ended a batch the scan keeps an exception for good */
		if :: T1 > 0 -> stale[c] = pos[c] :: else fi;
#endif
		frame(c,1)
	:: else -> pos[c] = n; frame(c,0)
	fi; n = 0; f = 0
}
inline paid(c) { if :: pos[c] >= owed[c] -> owed[c] = 0 :: else fi }
inline place(c) {               /* no exception: the last event with stamp <= T, or T1 */
	if
	:: !EXC(c) -> do :: pos[c] < ln[c] && ST(c,pos[c]+1) <= REF(c) -> pos[c]++ :: else -> break od; paid(c)
	:: else
	fi
}
inline advance(t) {
	T = t; T1 = 0; slot = 0;
	i = 0;
	do
	:: i < NC -> place(i);
#ifdef HIDDENLAST
		if :: stale[i] -> pos[i] = stale[i]; stale[i] = 0 :: else fi;
#endif
		i++
	:: else -> break
	od; i = 0
}
inline lastchange(c,upTo) {     /* j: the user's last joining or removal with a stamp up to upTo */
	j = ln[c]; do :: j > 0 && !(chg[IX(c,j)] && ST(c,j) <= upTo) -> j-- :: else -> break od
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
		if :: knows[c] == 1 -> fed[c] = 1 :: true fi }
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

inline marked(c) { d_step { fed[c] -> fed[c] = 0; if :: knows[c] == 1 -> owe(c,ln[c]) :: else fi } }
inline look(c) {                /* a membership changed above the last round's stamp, as it is now */
	lastchange(c,HM);
	if
	:: ST(c,j) > SINCE ->
		if
		:: mem[c] -> knows[c] = 1
#ifdef CURRENTONLY              /* control: an ended one is seen only if it was known as a present one */
		:: !mem[c] && knows[c] == 1 -> knows[c] = 2; owe(c,j)
		:: !mem[c] && knows[c] != 1 -> skip
#elif defined(DROPENDED)        /* control: an ended one is dropped before its last events are marked */
		:: !mem[c] -> knows[c] = 2
#else
		:: !mem[c] -> knows[c] = 2; owe(c,j)
#endif
		fi
	:: else
	fi; j = 0
}
#ifdef TWOLOOKS
byte ends; bit changed;
inline list1(c) { lastchange(c,HM); changed = (ST(c,j) > SINCE); ends = (changed && !mem[c] -> j : 0); j = 0 }
inline list2(c) {
	if :: changed -> if :: mem[c] -> knows[c] = 1 :: !mem[c] && (knows[c] == 1 || ends) -> knows[c] = 2 :: else fi; owe(c,ends) :: else fi;
	ends = 0; changed = 0
}
#endif
inline mark(c) {                /* the head that the round saw is not below the last event with stamp <= closed */
	m = ln[c]; do :: m > 0 && ST(c,m) > kn -> m-- :: else -> break od;
	if :: m > 0 && ST(c,m) > SINCE && knows[c] == 1 -> owe(c,m) :: else fi; m = 0
}
inline marks() { mark(0); mark(1);
#if NC == 3
	mark(2)
#endif
}
inline looks() { look(1);
#if NC == 3
	look(2)
#endif
}
active proctype Node() {
	byte j, m;
end:	do
	:: marked(0) :: marked(1)
#if NC == 3
	:: marked(2)
#endif
	:: d_step { round == 0 && closed > K -> kn = closed;
#ifdef PUBLISHEARLY             /* control: K is published before its conversations are owed */
		since = K; K = kn;
#endif
		round = 1 }
#ifdef SWEEPNOMEM               /* control: the sweep does not look at memberships */
	:: d_step { round == 1 -> round = 2 }
	:: d_step { round == 2 -> marks(); round = 3 }
#elif defined(MARKFIRST)        /* control: it looks at them when it has marked */
	:: d_step { round == 1 -> marks(); round = 2 }
	:: d_step { round == 2 -> looks(); round = 3 }
#elif defined(TWOLOOKS)         /* control: an end is acted upon that the list of changes did not have yet */
	:: d_step { round == 1 -> list1(1); round = 4 }
	:: d_step { round == 4 -> list2(1); round = 2 }
	:: d_step { round == 2 -> marks(); round = 3 }
#else
	:: d_step { round == 1 -> looks(); round = 2 }
	:: d_step { round == 2 -> marks(); round = 3 }
#endif
	:: d_step { round == 3 -> K = kn; kn = 0; round = 0 }
	od
}

inline begin() {                /* a scan from T on */
	scan = 1; resumed = 0; upto = 0; ld = 0
}
inline load() {                 /* one statement: what moved above T in one slot; the first gives T1 */
	if :: ld == 0 && !resumed -> upto = closed :: else fi;
	j = 0; n = 1; do :: n <= ln[ld] -> if :: vis[IX(ld,n)] -> j = n :: else fi; n++ :: else -> break od; n = 0;
	if :: ld == 0 || mem[ld] -> j = ln[ld] :: else fi;    /* j: the head, or the removal */
	if
	:: j > 0 && ST(ld,j) > T ->
		if :: ST(ld,ln[ld]) > upto -> if :: knows[ld] == 0 -> knows[ld] = 2 :: else fi; owe(ld,ln[ld]) :: else fi;
		if :: upto > T -> pend[ld] = ln[ld]; T1 = upto :: else fi
	:: else
	fi; j = 0; ld++;
#ifdef REGLAST
	if :: ld == NC -> reg = 1 :: else fi;
#endif
}
inline list(c) {
	d_step { reading && GIVES(c) && len(wire) == 0 -> next(c); if :: n == 0 -> owed[c] = 0 :: else -> go(c); paid(c) fi }
}

active proctype Inbox() {
	byte i, j, n;
	bit f, overfull, looked;
#ifdef OWEDFIRST
	bit seen;
#endif
	knows[0] = 1;
end:	do
	/* The scan. Between passing the last slot and taking T1 a cursor has slot = NC. */
	:: d_step { scan && ld < NC -> load() }
	:: d_step { scan && slot < ld && len(wire) == 0 ->
		if
		:: pend[slot] -> next(slot);
			if
#ifdef HIDDENFREE               /* control: a hidden event is given although the return behind it lies above T1 */
			:: n && n > pos[slot]+1 && f && pos[slot] < pend[slot] -> go(slot)
			:: n && n == pos[slot]+1 && ST(slot,n) <= upto -> go(slot)
			:: n && n > pos[slot]+1 && !f && ST(slot,n) <= upto -> go(slot)
#else
			:: n && ST(slot,n) <= upto -> go(slot)
#endif
			:: else -> n = 0; f = 0; pend[slot] = 0; slot++; place(slot-1)
			fi
		:: else -> slot++; place(slot-1)
		fi }
	:: d_step { resumed && !looked && slot == NC && ld == NC ->     /* needs no other one if nothing has moved above T1 */
		i = 0; n = 0;
		do
		:: i < NC -> j = 1; do :: j <= ln[i] -> if :: vis[IX(i,j)] && ST(i,j) > T1 -> n = 1 :: else fi; j++ :: else -> break od; i++
		:: else -> break
		od; resumed = n; i = 0; j = 0; n = 0; looked = 1 }
	:: d_step { scan && slot == NC && ld == NC && (!resumed || looked) -> looked = 0;
#ifdef TAFTER                   /* control: closed is read after the scan */
		upto = closed; T1 = closed;
#endif
		scan = 0; ld = 0; if :: T1 > 0 -> advance(T1) :: else -> slot = 0 fi; upto = 0;
#ifndef RESUMEDONLY             /* control: a scan that the cursor was in the middle of is not followed by another */
		if :: resumed -> begin() :: else fi;
#endif
		resumed = 0 }
	/* A Read of what is owed. */
	:: d_step { !scan && !reading && given > T -> advance(given) }
	:: d_step { !scan && !reading && given <= T && BEGINS -> reading = 1; kq = K }
	:: d_step { reading && kq < K && OWING -> kq = K }
	:: list(0) :: list(1)
#if NC == 3
	:: list(2)
#endif
#ifdef TOWED                    /* control: T moves while something is owed */
	:: d_step { reading && kq > T -> given = kq; kq = 0; reading = 0 }
#elif defined(OWEDFIRST)        /* control: sees that nothing is owed, and then reads K */
	:: d_step { reading && !OWING && !seen -> seen = 1 }
	:: d_step { seen -> given = (K > T -> K : T); kq = 0; reading = 0; seen = 0 }
#else
	:: d_step { reading && !OWING -> given = (kq > T -> kq : T); kq = 0; reading = 0 }
#endif
	:: d_step { reading && OWING && !GIVABLE ->
#ifndef NORESCAN
		if
		:: kq > T -> scan = 1; resumed = 0; upto = kq; T1 = kq; slot = 0; ld = NC;
			i = 0; do :: i < NC -> pend[i] = owed[i]; i++ :: else -> break od; i = 0
		:: else
		fi;
#endif
		kq = 0; reading = 0 }
#ifdef ANSWERS
	:: d_step { len(wire) == 0 && (kT != T || kT1 != T1 || kslot != SLOT) -> kT = T; kT1 = T1; kslot = SLOT;
		ke[0] = NAME(0); ke[1] = NAME(1);
#if NC == 3
		ke[2] = NAME2
#endif
		}
#endif
	/* The connection breaks. */
	:: atomic { d_step { cuts > 0 -> cuts--;
			do :: len(wire) > 0 -> wire?_,_,_,_,_,_,_,_,_ :: else -> break od;
			T = kT; T1 = kT1; slot = kslot; upto = kT1; ld = kslot; scan = 1; reading = 0; kq = 0; given = 0; looked = 0;
#ifdef OWEDFIRST
			seen = 0;
#endif
			resumed = (kT1 > 0 -> 1 : 0);
#ifdef REGLAST
			reg = 0;
#endif
			i = 0;
			do
			:: i < NC -> owed[i] = 0; pend[i] = 0; fed[i] = 0; knows[i] = 0;
#ifdef HIDDENLAST
				stale[i] = 0;
#endif
#ifdef EXCDROP                  /* control: forgets the exceptions */
				pos[i] = 0;
#else
				pos[i] = ke[i];
#endif
				place(i); i++
			:: else -> break
			od;
			if :: T1 > 0 && slot == NC -> advance(T1); resumed = 0; upto = 0; ld = 0 :: else fi;
			knows[0] = 1; i = 0; K = 0; kn = 0; round = 0 };
		do :: K < closed -> K++ :: break od;        /* the node that it comes to */
		if
		:: K < closed -> kn = K+1; do :: kn < closed -> kn++ :: break od; if :: round = 1 :: round = 2 :: round = 3 fi
		:: true
		fi;
#ifdef TWOLOOKS
		ends = 0; changed = 0;
#endif
#ifdef PUBLISHEARLY
		since = K; if :: round > 0 -> K = kn :: else fi;
#endif
		i = 1; do :: i < NC ->
			if
			:: d_step { knows[i] = mem[i] }                    /* the interests are read, … */
			:: d_step { n = (round >= 2 -> kn : SINCE); lastchange(i,n); n = 0;    /* … or are the last sweep's */
				knows[i] = (j == 0 -> 0 : (vis[IX(i,j)] && (j == ln[i] || vis[IX(i,j+1)] || chg[IX(i,j+1)]) -> 1 : 2)); j = 0 }
			fi; i++ :: else -> break od; i = 0 }
	od
}

active proctype Client() {
	byte c, s, j;
	bit gap, stranger, twice, missing;
end:	do
	:: d_step { wire?c,s,gap,kT,kT1,kslot,ke[0],ke[1],j ->
#if NC == 3
		ke[2] = j;
#endif
		stranger = !vis[IX(c,s)] && !gap; assert(!stranger);
		twice = (s <= got[c]); assert(!twice);
		j = got[c] + 1; do :: j < s + gap -> missing = missing || vis[IX(c,j)]; j++ :: else -> break od; assert(!missing);
		got[c] = s; c = 0; s = 0; j = 0; gap = 0 }
	:: timeout ->               /* nothing moves any more: everything has arrived */
		d_step { c = 0;
			do
			:: c < NC -> j = got[c] + 1; do :: j <= ln[c] -> missing = missing || vis[IX(c,j)]; j++ :: else -> break od; c++
			:: else -> break
			od; assert(!missing) };
		break
	od
}
