/*
 * holdline-c: sends to and follows a Holdline server over plain HTTP/1.1, for
 * machines with little memory. One file of C99 over POSIX sockets; it allocates
 * nothing and holds no more than its buffers, however large an answer is.
 *
 *   cc -std=c99 -Os -o holdline-c holdline.c
 *
 *   holdline-c HOST PORT TOKEN send [--client-id ID] CONVERSATION TEXT
 *   holdline-c HOST PORT TOKEN follow [--conversation ID] [--sse] [--state FILE]
 *
 * TOKEN may be @FILE. "send" repeats with one client_id until the outcome is
 * certain and prints the seq. "follow" prints a line an event, with a TAB between
 * the fields of the server's own text form (the inbox's lines begin with the
 * conversation); lines that begin with "#" are about the log. Exit status: 0
 * done, 1 refused, 2 wrong use, 3 credentials refused, 4 trouble with a file or
 * the output, 5 refused although an earlier attempt may have been stored.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* rename */
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef IN_BYTES
#define IN_BYTES 768 /* read from the socket at once */
#endif

enum {
	OUT_BYTES = 512,   /* written at once, to the socket, a file or the output */
	TEXT_BYTES = 3072, /* the longest text that is shown; longer ones are left out */
	LINE_BYTES = 160,  /* of a header; what is longer is none that counts here */
	CURSOR_BYTES = 129,
	TOKEN_BYTES = 129,
	PATH_BYTES = 200,
	PLACES = 40,      /* conversations whose seqs are checked, those that moved last */
	PAGE_EVENTS = 32, /* below PLACES: a page that comes twice is recognised as a whole */
	DEPTH = 31,       /* nesting of JSON */
	RECENT = 8,       /* conversations whose last sender a compact event may leave out (the contract, CompactEvent) */
	QUIET = 3,        /* so many heartbeats without an event that is due, and it is missing */
	REPAIRS = 3,      /* so often what is missing is asked for in vain before it is called lost */
	MAX_BACKOFF_MS = 60000,
	WRITE_TIMEOUT_S = 20
};

enum status { DONE, REFUSED, WRONG_USE, UNAUTHORIZED, TROUBLE, UNCERTAIN };

/* What became of a request. */
enum outcome {
	TAKEN, /* answered, and everything of it taken */
	FAULT, /* no whole answer: come back after a while */
	LATER, /* the server said when to come back, or that it cannot now */
	RESET, /* the cursor is from before a restore */
	GAP    /* a seq is missing */
};

enum { END = -1, CUT = -2 }; /* in place of a byte */

enum key {
	K_OTHER, K_ACTION, K_AT, K_CODE, K_CONVERSATION, K_CURSOR, K_DETAIL, K_EVENTS, K_LAST, K_MORE,
	K_NOW, K_RECEIPTS, K_SENDER, K_SEQ, K_TEXT, K_THROUGH, K_TITLE, K_TRUNCATED, K_TYPE, K_USER, KEYS
};

static const char *const key_names[KEYS] = {
	"", "action", "accepted_at", "code", "conversation_id", "cursor", "detail", "events", "last_seq", "more",
	"at", "receipts", "sender_id", "seq", "text", "through_seq", "title", "truncated", "type", "user_id",
};

enum mode { PAGE, EVENT, PROBLEM }; /* what a JSON object is */

enum json_state {
	J_START, J_VALUE, J_VALUE_OR_END, J_KEY, J_KEY_OR_END, J_COLON, J_NEXT, J_STRING, J_ESCAPE, J_HEX, J_SCALAR, J_DONE, J_BAD
};

enum field { F_NONE, F_DATA, F_EVENT, F_ID, F_RETRY }; /* of a stream's frame */

/* How far a conversation's log has been printed. */
struct place {
	char conversation[12];
	uint32_t used; /* me.clock when it last moved */
	uint64_t seq;
};

/* Who spoke last in a conversation. */
struct last_sender {
	char conversation[12], sender[12];
};

/* Everything there is to remember. */
static struct {
	/* The command line. */
	const char *host, *port, *conversation, *state;
	bool sse, once, fresh, compact;
	uint32_t wait_s, silence_s, retry_ms, max_bytes;
	char token[TOKEN_BYTES];

	/* The connection. */
	int fd; /* -1: none */
	uint16_t in_at, in_end, out_used;
	int out_fd;
	bool out_failed, counting;
	uint32_t counted, timeout_ms, random, backoff_ms;
	char in[IN_BYTES], out[OUT_BYTES], line[LINE_BYTES];

	/* The answer being read. */
	int code;
	bool chunked, sized, keep, first_chunk, ended;
	uint64_t left;
	uint32_t retry_after_s;

	/* The JSON being scanned. */
	struct {
		enum json_state state;
		enum mode mode;
		uint8_t depth, digits, key, root;
		bool in_key;
		uint32_t objects; /* bit d: what is open at depth d is an object */
		uint32_t unit, high;
		char *to; /* where a string goes */
		uint32_t room, size;
		char word[24];
	} json;

	/* What it says. */
	bool more, has_last, has_receipts, gap;
	uint64_t last;
	char next[CURSOR_BYTES];
	struct {
		uint64_t seq, through;
		uint32_t text_size; /* of the whole text, also where it did not fit */
		bool truncated;     /* by the server */
		char conversation[12], sender[12], user[12], action[16], type[24], at[28];
	} event;
	char text[TEXT_BYTES];

	/* What the answer or stream has told before, in its compact form. */
	struct {
		struct last_sender recent[RECENT]; /* the conversation of the last event first */
		char at[28];
	} before;

	/* The frame of a stream that is being read. */
	struct {
		enum field field;
		bool any_data, has_id, id_too_long;
		uint32_t size, retry_ms;
		char name[12], event[12];
	} frame;

	/* How far the reader has got. */
	char cursor[CURSOR_BYTES];
	bool dirty, repairing;
	uint64_t told, head;     /* the last seq that was called complete; that the server named */
	uint64_t gap_from, gap_to;
	char gap_conversation[12];
	bool gap_seen;           /* an event behind the gap has been seen */
	uint32_t clock, quiet, repairs; /* heartbeats, and repairs, that no event came between */
	struct place places[PLACES];
} me;

_Static_assert(sizeof me <= 7168, "with its stack it shall stay below 8 KiB");

/* ---- Output: to the socket, a file or the terminal, through one buffer ---- */

static void out_flush(void)
{
	uint16_t at = 0;
	while (at < me.out_used && !me.out_failed) {
		ssize_t n = write(me.out_fd, me.out + at, me.out_used - at);
		if (n > 0)
			at += (uint16_t)n;
		else if (n == 0 || errno != EINTR)
			me.out_failed = true;
	}
	me.out_used = 0;
}

static void out_to(int fd)
{
	out_flush();
	me.out_fd = fd;
	me.out_failed = false;
}

static void put(char c)
{
	if (me.counting) {
		me.counted++;
		return;
	}
	if (me.out_used == OUT_BYTES)
		out_flush();
	me.out[me.out_used++] = c;
}

static void puts_(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(uint64_t n)
{
	char digits[20];
	int i = 0;
	do
		digits[i++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	while (i > 0)
		put(digits[--i]);
}

static void put_hex(uint32_t n, int digits)
{
	while (digits-- > 0)
		put("0123456789abcdef"[n >> (4 * digits) & 15]);
}

/* utf8 encodes a character in up to 4 bytes and returns how many. */
static int utf8(uint32_t c, char *to)
{
	int n = 0;
	if (c < 0x80) {
		to[n++] = (char)c;
		return n;
	}
	if (c < 0x800) {
		to[n++] = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			to[n++] = (char)(0xe0 | c >> 12);
		} else {
			to[n++] = (char)(0xf0 | c >> 18);
			to[n++] = (char)(0x80 | (c >> 12 & 63));
		}
		to[n++] = (char)(0x80 | (c >> 6 & 63));
	}
	to[n++] = (char)(0x80 | (c & 63));
	return n;
}

/* What could end a line, steer a terminal or reorder what stands beside it. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void put_code(uint32_t c)
{
	if (c == '\\')
		puts_("\\\\");
	else if (c == '\n')
		puts_("\\n");
	else if (c == '\r')
		puts_("\\r");
	else if (c == '\t')
		puts_("\\t");
	else if (is_unsafe(c)) {
		puts_("\\u");
		put_hex(c, 4);
	} else {
		char bytes[4];
		int n = utf8(c, bytes);
		for (int i = 0; i < n; i++)
			put(bytes[i]);
	}
}

/* put_visible writes size bytes of UTF-8 as the server's text form does; what is no UTF-8 becomes U+FFFD. */
static void put_visible(const char *s, uint32_t size)
{
	uint32_t i = 0;
	while (i < size) {
		uint32_t c = (uint8_t)s[i++], more = 0, least = 0;
		if (c >= 0xf0 && c < 0xf8)
			c &= 7, more = 3, least = 0x10000;
		else if (c >= 0xe0 && c < 0xf0)
			c &= 15, more = 2, least = 0x800;
		else if (c >= 0xc0 && c < 0xe0)
			c &= 31, more = 1, least = 0x80;
		else if (c >= 0x80)
			c = 0xfffd;
		for (; more > 0; more--) {
			if (i == size || ((uint8_t)s[i] & 0xc0) != 0x80) {
				c = 0xfffd;
				break;
			}
			c = c << 6 | ((uint8_t)s[i++] & 63);
		}
		if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			c = 0xfffd;
		put_code(c);
	}
}

static void put_field(const char *s)
{
	put('\t');
	if (*s == '\0')
		put('-');
	put_visible(s, (uint32_t)strlen(s));
}

/* line_end ends a line of the output. What was not printed must not be acknowledged, so a failure ends the program. */
static void line_end(void)
{
	put('\n');
	out_flush();
	if (me.out_failed)
		_exit(TROUBLE);
}

static void say(const char *what, const char *about, const char *detail)
{
	out_to(STDERR_FILENO);
	puts_("holdline-c: ");
	puts_(what);
	put_visible(about, (uint32_t)strlen(about));
	if (*detail) {
		puts_(": ");
		put_visible(detail, (uint32_t)strlen(detail));
	}
	put('\n');
	out_flush();
}

static void die(enum status status, const char *what, const char *about, const char *detail)
{
	say(what, about, detail);
	_exit((int)status); /* nothing is left in a buffer */
}

/* ---- Time and chance ---- */

static void random_bytes(uint8_t *to, size_t size)
{
	int fd = open("/dev/urandom", O_RDONLY);
	if (fd < 0 || read(fd, to, size) != (ssize_t)size)
		die(TROUBLE, "/dev/urandom cannot be read", "", "");
	close(fd);
}

/* between is evenly in [least, most], by Marsaglia's xorshift: enough for spreading clients out. */
static uint32_t between(uint32_t least, uint32_t most)
{
	me.random ^= me.random << 13;
	me.random ^= me.random >> 17;
	me.random ^= me.random << 5;
	return least + me.random % (most - least + 1);
}

/* now_ms is a time that no clock setting moves. It wraps: only differences count. */
static uint32_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

static void sleep_ms(uint32_t ms)
{
	struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

/* back_off waits: as long as the server says, and somewhat longer, so that clients do not come back together; else for a
 * time that doubles from failure to failure. */
static void back_off(void)
{
	uint32_t ms = me.backoff_ms ? me.backoff_ms : me.retry_ms;
	me.backoff_ms = ms * 2 < MAX_BACKOFF_MS ? ms * 2 : MAX_BACKOFF_MS;
	if (me.retry_after_s) {
		uint32_t asked = me.retry_after_s * 1000;
		me.retry_after_s = 0;
		sleep_ms(between(asked, asked + asked / 4));
		return;
	}
	sleep_ms(between(ms - ms / 2, ms));
}

/* ---- The connection ---- */

static void state_save(void);

static void net_close(void)
{
	if (me.fd >= 0)
		close(me.fd);
	me.fd = -1;
	me.in_at = me.in_end = 0;
}

static bool net_open(void)
{
	struct addrinfo *all, *a;
	if (me.fd >= 0) { /* kept; something to read is its end, or nothing that was asked for */
		struct pollfd p = {.fd = me.fd, .events = POLLIN};
		if (poll(&p, 1, 0) == 0)
			return true;
		net_close();
	}
	{
		const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
		if (getaddrinfo(me.host, me.port, &hints, &all) != 0) {
			say("no address for ", me.host, "");
			return false;
		}
	}
	for (a = all; a != NULL && me.fd < 0; a = a->ai_next) {
		const struct timeval limit = {WRITE_TIMEOUT_S, 0};
		me.fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (me.fd < 0)
			continue;
		setsockopt(me.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connecting too, on Linux */
		if (connect(me.fd, a->ai_addr, a->ai_addrlen) != 0)
			net_close();
	}
	freeaddrinfo(all);
	return me.fd >= 0;
}

/* net_byte is the next byte, or CUT: closed, or silent for me.timeout_ms. */
static int net_byte(void)
{
	if (me.in_at == me.in_end) {
		struct pollfd p = {.fd = me.fd, .events = POLLIN};
		ssize_t n;
		int ready = poll(&p, 1, 0);
		if (ready == 0 && me.dirty)
			state_save(); /* there is time for it now */
		while (ready == 0 || (ready < 0 && errno == EINTR))
			if ((ready = poll(&p, 1, (int)me.timeout_ms)) == 0)
				return CUT;
		do
			n = read(me.fd, me.in, IN_BYTES);
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return CUT;
		me.in_at = 0;
		me.in_end = (uint16_t)n;
	}
	return (uint8_t)me.in[me.in_at++];
}

/* net_line reads a line into me.line, without its end and cut off where it is too long. */
static bool net_line(void)
{
	uint32_t n = 0;
	int c;
	while ((c = net_byte()) != '\n') {
		if (c < 0)
			return false;
		if (n < LINE_BYTES - 1)
			me.line[n++] = (char)c;
	}
	if (n > 0 && me.line[n - 1] == '\r')
		n--;
	me.line[n] = '\0';
	return true;
}

/* ---- HTTP (RFC 9112) ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* is_plain: letters and digits, and what is named besides; so it may stand in a path, a header or a file. */
static bool is_plain(const char *s, const char *besides)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!((*s >= '0' && *s <= '9') || (lower(*s) >= 'a' && lower(*s) <= 'z') || strchr(besides, *s)))
			return false;
	return true;
}

/* header_value is what follows a header's name, which is given in lower case, or NULL. */
static const char *header_value(const char *name)
{
	const char *s = me.line;
	while (*name && lower(*s) == *name)
		s++, name++;
	if (*name || *s++ != ':')
		return NULL;
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* parse reads a decimal number that is all of s, but for spaces behind it. */
static bool parse(const char *s, uint64_t *n)
{
	const char *begin = s;
	*n = 0;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (*n > (INT64_MAX - 9) / 10)
			return false;
		*n = *n * 10 + (uint64_t)(*s - '0');
	}
	if (s == begin)
		return false;
	while (*s == ' ' || *s == '\t')
		s++;
	return *s == '\0';
}

static bool has_word(const char *s, const char *word)
{
	size_t i;
	for (; *s; s++) {
		for (i = 0; word[i] && lower(s[i]) == word[i]; i++)
			;
		if (!word[i])
			return true;
	}
	return false;
}

/* request_begin writes a request's first line up to the path below /v1. */
static bool request_begin(const char *method)
{
	if (!net_open())
		return false;
	out_to(me.fd);
	puts_(method);
	puts_(" /v1/");
	return true;
}

static bool request_end(void)
{
	out_flush();
	return !me.out_failed;
}

static void put_headers(void)
{
	const bool literal = strchr(me.host, ':') != NULL; /* an address of IPv6, in brackets (RFC 3986, 3.2.2) */
	puts_(literal ? " HTTP/1.1\r\nHost: [" : " HTTP/1.1\r\nHost: ");
	puts_(me.host);
	puts_(literal ? "]:" : ":");
	puts_(me.port);
	puts_("\r\nAuthorization: Bearer ");
	puts_(me.token);
	puts_("\r\n");
}

/* answer_head reads status and headers. */
static bool answer_head(void)
{
	uint64_t n;
	int lines = 0;
	do {
		const char *s;
		if (!net_line() || strncmp(me.line, "HTTP/1.", 7) != 0)
			return false;
		me.keep = me.line[7] == '1';
		s = me.line + 8;
		if (*s++ != ' ' || s[0] < '1' || s[0] > '5' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9')
			return false;
		me.code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
		me.chunked = me.sized = me.ended = false;
		me.first_chunk = true;
		me.left = me.retry_after_s = 0;
		for (;;) {
			if (!net_line() || ++lines > 100)
				return false;
			if (!*me.line)
				break;
			if ((s = header_value("content-length")) != NULL) {
				if (!parse(s, &n))
					return false;
				me.sized = true;
				me.left = n;
			} else if ((s = header_value("transfer-encoding")) != NULL) {
				me.chunked = has_word(s, "chunked");
			} else if ((s = header_value("connection")) != NULL) {
				me.keep = me.keep && !has_word(s, "close");
			} else if ((s = header_value("retry-after")) != NULL && parse(s, &n)) {
				me.retry_after_s = n < 3600 ? (uint32_t)n : 3600;
			}
		}
	} while (me.code < 200); /* 1xx is followed by the answer proper */
	if (me.code == 204 || me.code == 304) {
		me.chunked = false;
		me.sized = true;
		me.left = 0;
	}
	me.keep = me.keep && (me.chunked || me.sized);
	return true;
}

/* chunk_head reads the size of the next chunk, and behind the last one the trailers. */
static int chunk_head(void)
{
	const char *s;
	if (!me.first_chunk && (!net_line() || *me.line))
		return CUT;
	me.first_chunk = false;
	if (!net_line())
		return CUT;
	for (s = me.line, me.left = 0; ; s++) {
		char c = lower(*s);
		uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) : 16;
		if (digit == 16)
			break;
		if (me.left >> 40)
			return CUT;
		me.left = me.left * 16 + digit;
	}
	if (s == me.line)
		return CUT;
	if (me.left > 0)
		return 0;
	do
		if (!net_line())
			return CUT;
	while (*me.line);
	return END;
}

/* body_byte is the body's next byte, END behind the last one, or CUT. */
static int body_byte(void)
{
	int c;
	if (me.ended)
		return END;
	if (me.chunked && me.left == 0 && (c = chunk_head()) != 0) {
		me.ended = c == END;
		return c;
	}
	if (!me.chunked && !me.sized) { /* it ends with the connection; the JSON tells whether that was a cut */
		c = net_byte();
		me.ended = c < 0;
		return c < 0 ? END : c;
	}
	if (me.left == 0) {
		me.ended = true;
		return END;
	}
	c = net_byte();
	me.left--;
	return c;
}

/* answer_end makes the connection ready for the next request, or gives it up. */
static void answer_end(void)
{
	if (!me.ended || !me.keep || me.in_at != me.in_end)
		net_close();
}

/* ---- JSON (RFC 8259), scanned byte by byte ---- */

static void take_event(void);

/* event_begin begins with what a compact event leaves out. */
static void event_begin(void)
{
	memset(&me.event, 0, sizeof me.event);
	if (!me.compact || me.json.mode == PROBLEM)
		return;
	strcpy(me.event.type, "message");
	strcpy(me.event.conversation, me.before.recent[0].conversation); /* both have 12 bytes */
}

/* recent_turn makes a conversation the one of the last event. */
static struct last_sender *recent_turn(const char *conversation)
{
	struct last_sender *recent = me.before.recent, turned;
	size_t i = 0;
	while (i < RECENT - 1 && strcmp(recent[i].conversation, conversation) != 0)
		i++;
	turned = recent[i];
	if (strcmp(turned.conversation, conversation) != 0) {
		memset(&turned, 0, sizeof turned);
		strcpy(turned.conversation, conversation); /* both have 12 bytes */
	}
	memmove(recent + 1, recent, i * sizeof *recent);
	recent[0] = turned;
	return recent;
}

/* event_end fills in the sender that a compact event has left out, and notes what the next one may leave out. */
static void event_end(void)
{
	struct last_sender *last;
	if (me.event.at[0])
		strcpy(me.before.at, me.event.at); /* both have 28 bytes */
	if (!me.compact || me.json.mode == PROBLEM || me.event.seq == 0)
		return;
	last = recent_turn(me.event.conversation);
	if (me.event.sender[0] || strcmp(me.event.type, "hidden") == 0)
		strcpy(last->sender, me.event.sender); /* both have 12 bytes */
	else
		strcpy(me.event.sender, last->sender);
}

static void json_begin(enum mode mode)
{
	memset(&me.json, 0, sizeof me.json);
	me.json.mode = mode;
	if (mode != EVENT)
		memset(&me.before, 0, sizeof me.before);
	event_begin();
	me.more = me.has_last = me.has_receipts = me.gap = false;
	me.last = 0;
	if (mode == PAGE)
		me.next[0] = '\0';
}

static bool in_object(void)
{
	return me.json.objects >> me.json.depth & 1;
}

/* in_event: the object that is open is an event. */
static bool in_event(void)
{
	if (!in_object())
		return false;
	return me.json.mode == EVENT ? me.json.depth == 1 : me.json.mode == PAGE && me.json.depth == 3 && me.json.root == K_EVENTS;
}

static void string_to(char *to, uint32_t room)
{
	me.json.to = to;
	me.json.room = room;
}

#define KEEP(field) string_to(field, sizeof field - 1)

static void string_begin(void)
{
	me.json.state = J_STRING;
	me.json.size = me.json.high = 0;
	string_to(NULL, 0);
	if (me.json.in_key) {
		KEEP(me.json.word);
	} else if (in_event()) {
		switch (me.json.key) {
		case K_ACTION: KEEP(me.event.action); break;
		case K_NOW:
		case K_AT: KEEP(me.event.at); break;
		case K_CONVERSATION: KEEP(me.event.conversation); break;
		case K_SENDER: KEEP(me.event.sender); break;
		case K_TEXT:
		case K_TITLE: string_to(me.text, TEXT_BYTES); break;
		case K_TYPE: KEEP(me.event.type); break;
		case K_USER: KEEP(me.event.user); break;
		}
	} else if (me.json.depth == 1 && me.json.mode == PAGE && me.json.key == K_CURSOR) {
		KEEP(me.next);
	} else if (me.json.depth == 1 && me.json.mode == PROBLEM) {
		if (me.json.key == K_CODE)
			KEEP(me.event.type);
		else if (me.json.key == K_DETAIL)
			string_to(me.text, TEXT_BYTES);
	}
}

static void string_byte(char c)
{
	if (me.json.size < me.json.room)
		me.json.to[me.json.size] = c;
	me.json.size++;
}

static void string_code(uint32_t c)
{
	char bytes[4];
	int n = utf8(c, bytes);
	for (int i = 0; i < n; i++)
		string_byte(bytes[i]);
}

/* string_unit takes a \u escape, half of a surrogate pair perhaps; 0 is none. A half without the other becomes U+FFFD. */
static void string_unit(uint32_t unit, bool escaped)
{
	if (me.json.high) {
		uint32_t high = me.json.high;
		me.json.high = 0;
		if (escaped && unit >= 0xdc00 && unit < 0xe000) {
			string_code(0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
			return;
		}
		string_code(0xfffd);
	}
	if (!escaped)
		return;
	if (unit >= 0xd800 && unit < 0xdc00)
		me.json.high = unit;
	else
		string_code(unit >= 0xdc00 && unit < 0xe000 ? 0xfffd : unit);
}

static bool string_end(void)
{
	uint32_t size = me.json.size;
	string_unit(0, false);
	if (me.json.to == me.text)
		me.event.text_size = size;
	else if (me.json.to != NULL)
		me.json.to[size < me.json.room ? size : me.json.room] = '\0';
	if (!me.json.in_key) {
		me.json.state = J_NEXT;
		return me.json.to != me.next || size < CURSOR_BYTES;
	}
	me.json.in_key = false;
	me.json.state = J_COLON;
	me.json.key = K_OTHER;
	for (uint8_t k = 1; k < KEYS; k++)
		if (strcmp(me.json.word, key_names[k]) == 0 && size == strlen(key_names[k]))
			me.json.key = k;
	if (me.json.depth == 1)
		me.json.root = me.json.key;
	return true;
}

/* scalar_end takes a number, true, false or null. */
static bool scalar_end(void)
{
	const char *word = me.json.word;
	uint64_t *to = NULL;
	me.json.state = J_NEXT;
	if (in_event() && me.json.key == K_SEQ)
		to = &me.event.seq;
	else if (in_event() && me.json.key == K_THROUGH)
		to = &me.event.through;
	else if (me.json.depth == 1 && me.json.mode != PROBLEM && me.json.key == K_LAST) {
		to = &me.last;
		me.has_last = true;
	} else if (in_event() && me.json.key == K_TRUNCATED)
		me.event.truncated = strcmp(word, "true") == 0;
	else if (me.json.depth == 1 && me.json.key == K_MORE)
		me.more = strcmp(word, "true") == 0;
	if (to != NULL)
		return parse(word, to);
	return strcmp(word, "true") == 0 || strcmp(word, "false") == 0 || strcmp(word, "null") == 0 || *word == '-' ||
	       (*word >= '0' && *word <= '9');
}

static bool json_open(bool object)
{
	if (me.json.depth == DEPTH)
		return false;
	me.json.depth++;
	me.json.objects &= ~(UINT32_C(1) << me.json.depth);
	if (object)
		me.json.objects |= UINT32_C(1) << me.json.depth;
	me.json.state = object ? J_KEY_OR_END : J_VALUE_OR_END;
	if (me.json.mode == PAGE && in_event())
		event_begin();
	if (object && me.json.depth == 3 && me.json.root == K_RECEIPTS)
		me.has_receipts = true;
	return true;
}

static void json_close(void)
{
	if (me.json.mode == PAGE && in_event()) {
		event_end();
		take_event();
	}
	me.json.depth--;
	me.json.state = me.json.depth ? J_NEXT : J_DONE;
}

static bool json_step(int c)
{
	bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
	switch (me.json.state) {
	case J_START:
		return space || (c == '{' && json_open(true));
	case J_VALUE_OR_END:
		if (c == ']') {
			json_close();
			return true;
		}
		/* fall through */
	case J_VALUE:
		if (space)
			return true;
		if (c == '"') {
			string_begin();
		} else if (c == '{' || c == '[') {
			return json_open(c == '{');
		} else {
			me.json.state = J_SCALAR;
			me.json.size = 1;
			me.json.word[0] = (char)c;
			me.json.word[1] = '\0';
		}
		return true;
	case J_KEY_OR_END:
		if (c == '}') {
			json_close();
			return true;
		}
		/* fall through */
	case J_KEY:
		if (c != '"')
			return space;
		me.json.in_key = true;
		string_begin();
		return true;
	case J_COLON:
		if (c == ':')
			me.json.state = J_VALUE;
		return space || c == ':';
	case J_SCALAR:
		if (!space && c != ',' && c != '}' && c != ']') {
			if (me.json.size == sizeof me.json.word - 1)
				return false;
			me.json.word[me.json.size++] = (char)c;
			me.json.word[me.json.size] = '\0';
			return true;
		}
		if (!scalar_end())
			return false;
		/* fall through */
	case J_NEXT:
		if (c == ',') {
			me.json.state = in_object() ? J_KEY : J_VALUE;
			return true;
		}
		if (c == (in_object() ? '}' : ']')) {
			json_close();
			return true;
		}
		return space;
	case J_STRING:
		if (c == '\\') {
			me.json.state = J_ESCAPE;
			return true;
		}
		if (c == '"')
			return string_end();
		string_unit(0, false);
		string_byte((char)c);
		return c >= 0x20;
	case J_ESCAPE: {
		static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
		const char *at = c ? strchr(names, c) : NULL;
		me.json.state = J_STRING;
		if (c == 'u') {
			me.json.state = J_HEX;
			me.json.digits = 0;
			me.json.unit = 0;
			return true;
		}
		if (at == NULL)
			return false;
		string_unit(0, false);
		string_byte(bytes[at - names]);
		return true;
	}
	case J_HEX: {
		char d = lower((char)c);
		if (!(d >= '0' && d <= '9') && !(d >= 'a' && d <= 'f'))
			return false;
		me.json.unit = me.json.unit << 4 | (uint32_t)(d <= '9' ? d - '0' : d - 'a' + 10);
		if (++me.json.digits == 4) {
			me.json.state = J_STRING;
			string_unit(me.json.unit, true);
		}
		return true;
	}
	case J_DONE:
		return space;
	case J_BAD:
		break;
	}
	return false;
}

static void json_byte(int c)
{
	if (!json_step(c))
		me.json.state = J_BAD;
}

/* json_body scans the whole body of an answer. */
static enum outcome json_body(enum mode mode)
{
	int c;
	json_begin(mode);
	while ((c = body_byte()) >= 0 && me.json.state != J_BAD && !me.gap)
		json_byte(c);
	answer_end();
	if (me.gap)
		return GAP;
	return c == END && me.json.state == J_DONE ? TAKEN : FAULT;
}

/* ---- Places: what has been printed, and what is missing ---- */

static struct place *place_of(const char *conversation)
{
	struct place *oldest = me.places;
	for (struct place *p = me.places; p < me.places + PLACES; p++) {
		if (strcmp(p->conversation, conversation) == 0)
			return p;
		if (p->used < oldest->used)
			oldest = p;
	}
	memset(oldest, 0, sizeof *oldest);
	strcpy(oldest->conversation, conversation); /* both have 12 bytes */
	return oldest;
}

static void place_move(struct place *p, uint64_t seq)
{
	p->seq = seq;
	p->used = ++me.clock;
	me.repairs = me.quiet = me.backoff_ms = 0;
	me.dirty = true;
}

/* note prints a line about the log: # [CONVERSATION ]WHAT FROM[ to TO][MORE]. */
static void note(const char *conversation, const char *what, uint64_t from, uint64_t to, const char *more)
{
	out_to(STDOUT_FILENO);
	puts_("# ");
	if (me.conversation == NULL && *conversation) {
		puts_(conversation);
		put(' ');
	}
	puts_(what);
	if (from)
		put_number(from);
	if (to > from) {
		puts_(" to ");
		put_number(to);
	}
	puts_(more);
	line_end();
}

static void print_event(void)
{
	uint64_t seq = me.event.through > me.event.seq ? me.event.through : me.event.seq;
	out_to(STDOUT_FILENO);
	if (me.event.text_size > TEXT_BYTES) {
		puts_("# ");
		if (me.conversation == NULL) {
			puts_(me.event.conversation);
			put(' ');
		}
		put_number(seq);
		puts_(" left out: a text of ");
		put_number(me.event.text_size);
		puts_(" bytes does not fit");
		line_end();
		return;
	}
	if (me.conversation == NULL) {
		put_visible(me.event.conversation, (uint32_t)strlen(me.event.conversation));
		put('\t');
	}
	put_number(seq);
	if (!me.event.at[0] && me.compact && strcmp(me.event.type, "hidden") != 0) {
		puts_("\t~"); /* less than a minute from it */
		puts_(me.before.at);
	} else
		put_field(me.event.at);
	put_field(me.event.type);
	put_field(me.event.sender);
	if (strcmp(me.event.type, "member") == 0) {
		put_field(me.event.action);
		put(' ');
		puts_(me.event.user);
	} else if (me.event.text_size == 0) {
		put_field("");
	} else {
		put('\t');
		put_visible(me.text, me.event.text_size);
	}
	if (me.event.truncated)
		put('\\');
	line_end();
}

/* gap_found notes what is missing behind a place; the answer is given up and repair asks for it. */
static void gap_found(const struct place *p, uint64_t to, bool seen)
{
	me.gap = true;
	me.gap_seen = seen;
	me.gap_from = p->seq + 1;
	me.gap_to = to;
	strcpy(me.gap_conversation, p->conversation);
}

/* head_reached says once that nothing is missing up to the head of the log. */
static void head_reached(const struct place *p)
{
	if (me.conversation == NULL || p->seq < me.head || me.told >= me.head)
		return;
	me.told = me.head;
	note("", "complete to ", me.told, 0, "");
}

/* take_event prints the event that was read, unless it has been printed before or one before it is missing. */
static void take_event(void)
{
	struct place *p;
	uint64_t seq = me.event.seq;
	if (me.gap || seq == 0)
		return;
	if (me.repairing)
		strcpy(me.event.conversation, me.gap_conversation); /* a compact event leaves it out */
	else if (me.conversation != NULL)
		strcpy(me.event.conversation, me.conversation); /* its length has been checked */
	else if (strlen(me.event.conversation) != 11 || !is_plain(me.event.conversation, ""))
		return; /* no event of this server */
	p = place_of(me.event.conversation);
	if (p->seq > 0 && seq > p->seq + 1) {
		if (!me.repairing || me.repairs < REPAIRS) {
			gap_found(p, seq - 1, true);
			return;
		}
		note(p->conversation, "lost ", p->seq + 1, seq - 1, ": the server does not give it");
	}
	if (me.event.through > seq)
		seq = me.event.through;
	if (seq > p->seq) {
		print_event();
		place_move(p, seq);
	}
}

/* take_head compares the head that the server names with what has been printed. On a stream, what stays out while
 * heartbeats come is missing; a poll has asked for it just now. */
static void take_head(bool streams)
{
	struct place *p;
	if (me.conversation == NULL || !me.has_last)
		return;
	p = place_of(me.conversation);
	if (streams && me.head > p->seq && ++me.quiet == QUIET)
		gap_found(p, me.head, false);
	me.head = me.last;
	head_reached(p);
}

/* ---- The file that keeps cursor and places ---- */

static void state_path(char *path, const char *suffix)
{
	strcpy(path, me.state); /* its length has been checked */
	strcat(path, suffix);
}

/* state_save replaces the file as a whole, so that a cut leaves the one from before. */
static void state_save(void)
{
	char path[PATH_BYTES + 5];
	int fd;
	bool ok;
	me.dirty = false;
	if (me.state == NULL)
		return;
	state_path(path, ".new");
	if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
		die(TROUBLE, "cannot write ", path, strerror(errno));
	out_to(fd);
	puts_("follows ");
	puts_(me.conversation ? me.conversation : "inbox");
	puts_("\ncursor ");
	puts_(me.cursor);
	put('\n');
	for (struct place *p = me.places; p < me.places + PLACES; p++) {
		if (!p->seq)
			continue;
		puts_("place ");
		puts_(p->conversation);
		put(' ');
		put_number(p->seq);
		put('\n');
	}
	out_flush();
	ok = !me.out_failed && fsync(fd) == 0;
	if (close(fd) != 0 || !ok || rename(path, me.state) != 0)
		die(TROUBLE, "cannot write ", path, strerror(errno));
}

/* state_line takes a line of the file. */
static bool state_line(void)
{
	char *s = strchr(me.line, ' ');
	uint64_t seq;
	if (s == NULL)
		return false;
	*s++ = '\0';
	if (strcmp(me.line, "follows") == 0) {
		if (strcmp(s, me.conversation ? me.conversation : "inbox") != 0)
			die(WRONG_USE, "the file of another reader: ", me.state, s);
		return true;
	}
	if (strcmp(me.line, "cursor") == 0) {
		if (*s && (strlen(s) >= CURSOR_BYTES || !is_plain(s, "-_"))) /* it may be none yet */
			return false;
		strcpy(me.cursor, s);
		return true;
	}
	if (strcmp(me.line, "place") != 0 || strlen(s) < 13 || s[11] != ' ')
		return false;
	s[11] = '\0';
	if (!is_plain(s, "") || !parse(s + 12, &seq))
		return false;
	place_move(place_of(s), seq);
	return true;
}

static void state_load(void)
{
	if (me.state == NULL)
		return;
	if ((me.fd = open(me.state, O_RDONLY)) < 0) {
		if (errno != ENOENT)
			die(TROUBLE, "cannot read ", me.state, strerror(errno));
		return;
	}
	while (net_line())
		if (!state_line())
			die(TROUBLE, "no file of this program: ", me.state, "");
	net_close();
	me.dirty = false;
}

/* forget begins anew: after a restore a seq may name another event. */
static void forget(void)
{
	memset(me.places, 0, sizeof me.places);
	me.cursor[0] = '\0';
	me.told = me.head = 0;
	note("", "reset: the server's log was restored; it follows from the beginning", 0, 0, "");
	state_save();
}

/* ---- Requests ---- */

/* refusal reads what is no success, and ends the program if repeating is of no use: if the server itself says so, by its code, or
 * if it lives elsewhere. Anything else may come from a portal or proxy in between. */
static enum outcome refusal(bool uncertain)
{
	bool again = me.code == 408 || me.code == 429 || (me.code >= 500 && me.code != 507);
	char code[4];
	if (json_body(PROBLEM) != TAKEN) {
		memset(&me.event, 0, sizeof me.event);
		net_close();
	}
	again = again || (!*me.event.type && me.code != 301 && me.code != 308);
	me.text[me.event.text_size < TEXT_BYTES ? me.event.text_size : TEXT_BYTES - 1] = '\0';
	code[0] = (char)('0' + me.code / 100);
	code[1] = (char)('0' + me.code / 10 % 10);
	code[2] = (char)('0' + me.code % 10);
	code[3] = '\0';
	if (me.code == 410 && strcmp(me.event.type, "cursor_reset") == 0)
		return RESET;
	say("refused, ", *me.event.type ? me.event.type : code, me.event.text_size ? me.text : "");
	if (again)
		return LATER;
	_exit(uncertain ? UNCERTAIN : me.code == 401 ? UNAUTHORIZED : REFUSED);
}

/* after writes where to go on: by the cursor, or without one by what has been printed. */
static void put_after(void)
{
	if (me.cursor[0]) {
		puts_(me.conversation ? "&after=" : "&cursor=");
		puts_(me.cursor);
	} else if (me.conversation == NULL) {
		puts_(me.fresh ? "&from=now" : "&from=start");
	} else if (place_of(me.conversation)->seq) {
		puts_("&after=");
		put_number(place_of(me.conversation)->seq);
	}
}

/* put_form asks for the forms that the command line names. */
static void put_form(void)
{
	if (me.compact)
		puts_("&compact=1");
	if (me.max_bytes) {
		puts_("&max_bytes=");
		put_number(me.max_bytes);
	}
}

/* exchange ends a request that has no body and reads the answer's head. */
static bool exchange(void)
{
	put_headers();
	puts_("\r\n");
	return request_end() && answer_head();
}

static void keep_cursor(const char *cursor)
{
	if (is_plain(cursor, "-_") && strcmp(cursor, me.cursor) != 0) {
		strcpy(me.cursor, cursor); /* both have CURSOR_BYTES */
		me.dirty = true;
	}
}

/* poll_page asks for a page, and waits for it. */
static enum outcome poll_page(uint32_t wait_s)
{
	enum outcome outcome;
	if (!request_begin("GET"))
		return FAULT;
	me.timeout_ms = (wait_s * 2 + me.silence_s) * 500;
	if (me.conversation) {
		puts_("conversations/");
		puts_(me.conversation);
		puts_("/events");
	} else
		puts_("inbox");
	puts_("?limit=");
	put_number(PAGE_EVENTS);
	puts_("&wait=");
	put_number(wait_s);
	put_form();
	put_after();
	if (!exchange())
		return FAULT;
	if (me.code != 200)
		return refusal(false);
	if ((outcome = json_body(PAGE)) != TAKEN)
		return outcome;
	if (!me.next[0]) /* something in between has answered */
		return FAULT;
	keep_cursor(me.next);
	if (me.compact && me.conversation && !me.has_last) { /* it is the seq of the cursor then */
		for (const char *c = me.next; *c >= '0' && *c <= '9'; c++)
			me.last = me.last * 10 + (uint64_t)(*c - '0');
		me.has_last = true;
	}
	if (!me.more)
		take_head(false);
	return TAKEN;
}

/* begin_now finds the end of a conversation, to follow it from there. */
static enum outcome begin_now(void)
{
	if (!request_begin("GET"))
		return FAULT;
	me.timeout_ms = me.silence_s * 1000;
	puts_("conversations/");
	puts_(me.conversation);
	puts_("/messages?limit=1");
	if (!exchange())
		return FAULT;
	if (me.code != 200)
		return refusal(false);
	if (json_body(PAGE) != TAKEN || me.last == 0) /* each log has its first event: something in between has answered */
		return FAULT;
	place_move(place_of(me.conversation), me.last);
	keep_cursor(me.next);
	return TAKEN;
}

/* repair fetches what is missing from the conversation's own log. Where the server does not give it, again and again,
 * although it has given what comes behind, that is called lost. */
static enum outcome repair(void)
{
	const uint64_t to = me.gap_to;
	const bool seen = me.gap_seen;
	enum outcome outcome = FAULT;
	note(me.gap_conversation, "missing ", me.gap_from, to, ": asking for it");
	net_close(); /* what else stands in that answer comes again */
	me.quiet = 0;
	me.repairing = true;
	while (place_of(me.gap_conversation)->seq < to) {
		struct place *p = place_of(me.gap_conversation);
		uint64_t before = p->seq;
		outcome = FAULT;
		if (!request_begin("GET"))
			break;
		me.timeout_ms = me.silence_s * 1000;
		puts_("conversations/");
		puts_(me.gap_conversation);
		puts_("/events?limit=");
		put_number(PAGE_EVENTS);
		put_form();
		puts_("&after=");
		put_number(before);
		if (!exchange())
			break;
		if (me.code != 200 && me.code != 404) {
			outcome = refusal(false);
			break;
		}
		if ((outcome = json_body(me.code == 200 ? PAGE : PROBLEM)) == FAULT)
			break;
		if (p->seq > before)
			continue;
		outcome = FAULT;
		if (!seen || ++me.repairs <= REPAIRS)
			break;
		note(p->conversation, "lost ", before + 1, to, ": the server does not give it");
		place_move(p, to);
		outcome = TAKEN;
	}
	me.repairing = false;
	return outcome;
}

/* ---- The stream (WHATWG HTML, section 9.2) ---- */

static void frame_clear(void)
{
	memset(me.frame.event, 0, sizeof me.frame.event);
	me.frame.any_data = me.frame.has_id = me.frame.id_too_long = false;
	me.next[0] = '\0';
}

static void field_begin(void)
{
	const char *name = me.frame.name;
	if (strncmp(name, "\xef\xbb\xbf", 3) == 0)
		name += 3; /* the mark of UTF-8 before the first line */
	me.frame.field = strcmp(name, "data") == 0 ? F_DATA : strcmp(name, "event") == 0 ? F_EVENT : strcmp(name, "id") == 0 ? F_ID
	                 : strcmp(name, "retry") == 0 ? F_RETRY : F_NONE;
	me.frame.size = 0;
	switch (me.frame.field) {
	case F_DATA:
		if (me.frame.any_data)
			json_byte('\n');
		else
			json_begin(strcmp(me.frame.event, "end") == 0 || strcmp(me.frame.event, "reset") == 0 ? PROBLEM : EVENT);
		me.frame.any_data = true;
		break;
	case F_ID:
		me.frame.has_id = true;
		me.next[0] = '\0';
		break;
	case F_EVENT:
		memset(me.frame.event, 0, sizeof me.frame.event);
		break;
	case F_RETRY:
		me.frame.retry_ms = 0;
		break;
	case F_NONE:
		break;
	}
}

static void field_byte(char c)
{
	uint32_t size = me.frame.size++;
	switch (me.frame.field) {
	case F_DATA:
		json_byte((uint8_t)c);
		break;
	case F_ID:
		if (size < CURSOR_BYTES - 1) {
			me.next[size] = c;
			me.next[size + 1] = '\0';
		} else {
			me.frame.id_too_long = true;
		}
		break;
	case F_EVENT:
		if (size < sizeof me.frame.event - 1)
			me.frame.event[size] = c;
		break;
	case F_RETRY:
		if (c >= '0' && c <= '9' && me.frame.retry_ms < MAX_BACKOFF_MS)
			me.frame.retry_ms = me.frame.retry_ms * 10 + (uint32_t)(c - '0');
		break;
	case F_NONE:
		break;
	}
}

/* ending is what a stream says that cannot go on. */
static enum outcome ending(void)
{
	bool busy = strcmp(me.event.type, "rate_limited") == 0;
	me.text[me.event.text_size < TEXT_BYTES ? me.event.text_size : TEXT_BYTES - 1] = '\0';
	if (strcmp(me.frame.event, "reset") == 0)
		return RESET;
	say("the stream has ended, ", me.event.type, me.event.text_size ? me.text : "");
	if (busy)
		return LATER;
	_exit(strcmp(me.event.type, "unauthorized") == 0 ? UNAUTHORIZED : REFUSED);
}

/* frame_end takes a whole frame; TAKEN lets the stream go on. */
static enum outcome frame_end(void)
{
	if (!me.frame.any_data) {
		if (me.frame.has_id)
			keep_cursor(me.next);
		return TAKEN;
	}
	if (me.json.state != J_DONE || me.frame.id_too_long)
		return FAULT;
	if (me.json.mode == PROBLEM)
		return ending();
	me.backoff_ms = 0;
	event_end();
	if (strcmp(me.frame.event, "heartbeat") == 0)
		take_head(true);
	else if (strcmp(me.frame.event, "receipt") != 0 && strcmp(me.frame.event, "snapshot") != 0)
		take_event();
	if (me.gap)
		return GAP;
	if (me.conversation)
		head_reached(place_of(me.conversation));
	if (me.frame.has_id)
		keep_cursor(me.next);
	return TAKEN;
}

/* stream_lines reads the stream until it ends, breaks, or is silent for too long. */
static enum outcome stream_lines(void)
{
	enum outcome outcome = TAKEN;
	bool after_cr = false, in_name = true, after_colon = false;
	uint32_t size = 0;
	int c;
	frame_clear();
	memset(&me.before, 0, sizeof me.before);
	me.frame.retry_ms = 0;
	while ((c = body_byte()) >= 0) {
		if (c == '\n' && after_cr) {
			after_cr = false;
			continue;
		}
		after_cr = c == '\r';
		if (c == '\n' || c == '\r') {
			if (in_name && size == 0) {
				if ((outcome = frame_end()) != TAKEN)
					break;
				frame_clear();
			} else if (in_name) {
				me.frame.name[size < sizeof me.frame.name ? size : 0] = '\0';
				field_begin();
			}
			in_name = true;
			size = 0;
		} else if (in_name && c != ':') {
			if (size < sizeof me.frame.name)
				me.frame.name[size++] = (char)c;
		} else if (in_name) {
			me.frame.name[size < sizeof me.frame.name ? size : 0] = '\0';
			in_name = false;
			after_colon = true;
			field_begin();
		} else if (!after_colon || c != ' ') {
			after_colon = false;
			field_byte((char)c);
		} else {
			after_colon = false;
		}
	}
	net_close();
	return outcome;
}

/* stream opens the stream and reads it to its end. */
static enum outcome stream(void)
{
	if (!request_begin("GET"))
		return FAULT;
	me.timeout_ms = me.silence_s * 1000;
	if (me.conversation) {
		puts_("conversations/");
		puts_(me.conversation);
		puts_("/stream?t=0");
	} else
		puts_("inbox/stream?t=0");
	put_form();
	put_after();
	if (!exchange())
		return FAULT;
	if (me.code != 200)
		return refusal(false);
	switch (stream_lines()) {
	case RESET: return RESET;
	case GAP: return GAP;
	case LATER:
		me.retry_after_s = me.frame.retry_ms / 1000;
		return LATER;
	default:
		if (me.backoff_ms == 0) { /* as the stream said: its server may have ended many at once */
			const uint32_t most = me.retry_ms < MAX_BACKOFF_MS / 10 ? me.retry_ms * 10 : MAX_BACKOFF_MS;
			me.backoff_ms = me.frame.retry_ms < most ? me.frame.retry_ms : most;
		}
		return FAULT;
	}
}

/* ---- The two commands ---- */

static enum status follow(void)
{
	enum outcome outcome;
	bool hasty = false; /* the last answer was */
	state_load();
	while (me.fresh && me.conversation && place_of(me.conversation)->seq == 0)
		if (begin_now() != TAKEN)
			back_off();
	for (;;) {
		const uint32_t began = now_ms(), clock = me.clock;
		outcome = me.sse && !me.once ? stream() : poll_page(me.once ? 0 : me.wait_s);
		if (outcome == GAP)
			outcome = repair();
		else if (outcome == TAKEN && me.once && !me.more) {
			state_save();
			return DONE;
		}
		if (me.dirty)
			state_save();
		if (outcome == RESET)
			forget();
		if (outcome == TAKEN) {
			/* An answer that was held back is worth asking for at once. One without news that comes early is of a server
			 * that goes down, once, or of something in between that holds nothing back, again and again. */
			const bool early = me.clock == clock && !me.has_receipts && now_ms() - began <= me.wait_s * 500;
			if (early && hasty) {
				back_off();
				continue;
			}
			hasty = early;
			me.backoff_ms = 0;
			continue;
		}
		net_close();
		back_off();
	}
}

static void put_json(const char *s)
{
	put('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			put('\\');
		if ((uint8_t)*s < 0x20) {
			puts_("\\u");
			put_hex((uint8_t)*s, 4);
		} else
			put(*s);
	}
	put('"');
}

static void put_message(const char *client_id, const char *text)
{
	puts_("{\"client_id\":");
	put_json(client_id);
	puts_(",\"text\":");
	put_json(text);
	put('}');
}

/* send_once sends the message; a 2xx counts only with the event that the server made of it. */
static enum outcome send_once(const char *client_id, const char *text, bool uncertain)
{
	me.timeout_ms = me.silence_s * 1000;
	if (!request_begin("POST"))
		return FAULT;
	puts_("conversations/");
	puts_(me.conversation);
	puts_("/messages");
	put_headers();
	me.counted = 0;
	me.counting = true;
	put_message(client_id, text);
	me.counting = false;
	puts_("Content-Type: application/json\r\nContent-Length: ");
	put_number(me.counted);
	puts_("\r\n\r\n");
	put_message(client_id, text);
	request_end(); /* where it fails, there may be an answer that says why */
	if (!answer_head())
		return FAULT;
	if (me.code != 200 && me.code != 201)
		return refusal(uncertain);
	return json_body(EVENT) == TAKEN && me.event.seq > 0 ? TAKEN : FAULT;
}

static enum status send_message(const char *client_id, const char *text)
{
	bool uncertain = false;
	char made[25];
	if (client_id == NULL) {
		uint8_t bytes[12];
		random_bytes(bytes, sizeof bytes);
		for (int i = 0; i < 24; i++)
			made[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
		made[24] = '\0';
		client_id = made;
	}
	while (send_once(client_id, text, uncertain) != TAKEN) {
		uncertain = true;
		net_close();
		back_off();
	}
	out_to(STDOUT_FILENO);
	put_number(me.event.seq);
	line_end();
	return DONE;
}

/* ---- The command line ---- */

static void usage(void)
{
	out_to(STDERR_FILENO);
	puts_("holdline-c HOST PORT TOKEN send [OPTION]… CONVERSATION TEXT\n"
	      "holdline-c HOST PORT TOKEN follow [OPTION]…\n"
	      "  TOKEN                a token, or @FILE that holds it\n"
	      "  --client-id ID       1 to 64 printable ASCII characters; repeating with the same makes one message\n"
	      "  --conversation ID    one conversation; without it the inbox, which is all of them\n"
	      "  --sse                by a stream; without it by long-poll\n"
	      "  --state FILE         keeps how far it has got\n"
	      "  --new                begin with what comes now; without it from the beginning\n"
	      "  --once               end when there is nothing more for now\n"
	      "  --wait SECONDS       how long the server holds a poll (25; 1 to 50)\n"
	      "  --compact            ask for what is new only; a time behind ~ is less than a minute from the event's\n"
	      "  --max-bytes BYTES    the longest body or frame (640 or more); a text that was cut ends with one backslash\n"
	      "  --silence SECONDS    how long a stream may be silent (40; more than two heartbeats), or a send unanswered (20)\n"
	      "  --retry MS           the first wait after a failure (1000)\n");
	out_flush();
	_exit(WRONG_USE);
}

static void token_load(const char *token)
{
	size_t size = 0;
	if (*token == '@') {
		int fd = open(token + 1, O_RDONLY);
		ssize_t n = fd < 0 ? -1 : read(fd, me.token, TOKEN_BYTES - 1);
		if (n < 0)
			die(TROUBLE, "cannot read ", token + 1, strerror(errno));
		close(fd);
		for (size = (size_t)n; size > 0 && (me.token[size - 1] == '\n' || me.token[size - 1] == '\r'); size--)
			;
		me.token[size] = '\0';
	} else if (strlen(token) < TOKEN_BYTES) {
		strcpy(me.token, token);
	}
	if (!is_plain(me.token, "-_."))
		die(WRONG_USE, "that is no token", "", "");
}

static uint32_t number(const char *s, uint32_t least, uint32_t most)
{
	uint64_t n;
	if (s == NULL || !parse(s, &n) || n < least || n > most)
		usage();
	return (uint32_t)n;
}

static void check_client_id(const char *id)
{
	size_t size = id ? strlen(id) : 0;
	if (size < 1 || size > 64)
		usage();
	for (; *id; id++)
		if (*id < ' ' || *id > '~')
			usage();
}

int main(int argc, char **argv)
{
	const char *client_id = NULL;
	int i;
	bool sends;
	me.fd = -1;
	me.wait_s = 25;
	me.retry_ms = 1000;
	signal(SIGPIPE, SIG_IGN);
	if (argc < 5)
		usage();
	me.host = argv[1];
	me.port = argv[2];
	if (!is_plain(me.host, "-.:_") || !is_plain(me.port, ""))
		usage();
	token_load(argv[3]);
	sends = strcmp(argv[4], "send") == 0;
	me.silence_s = sends ? 20 : 40;
	if (!sends && strcmp(argv[4], "follow") != 0)
		usage();
	for (i = 5; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		const char *name = argv[i] + 2;
		if (strcmp(name, "") == 0) {
			i++;
			break;
		} else if (strcmp(name, "retry") == 0)
			me.retry_ms = number(argv[++i], 1, MAX_BACKOFF_MS);
		else if (strcmp(name, "silence") == 0)
			me.silence_s = number(argv[++i], 1, 3600);
		else if (sends && strcmp(name, "client-id") == 0)
			check_client_id(client_id = argv[++i]);
		else if (sends)
			usage();
		else if (strcmp(name, "sse") == 0)
			me.sse = true;
		else if (strcmp(name, "new") == 0)
			me.fresh = true;
		else if (strcmp(name, "compact") == 0)
			me.compact = true;
		else if (strcmp(name, "max-bytes") == 0)
			me.max_bytes = number(argv[++i], 640, 1048576);
		else if (strcmp(name, "once") == 0)
			me.once = true;
		else if (strcmp(name, "conversation") == 0)
			me.conversation = argv[++i];
		else if (strcmp(name, "state") == 0)
			me.state = argv[++i];
		else if (strcmp(name, "wait") == 0)
			me.wait_s = number(argv[++i], 1, 50); /* by 0 it would ask as fast as the line is */
		else
			usage();
		if (i >= argc)
			usage();
	}
	if (i + (sends ? 2 : 0) != argc)
		usage();
	if (sends)
		me.conversation = argv[i];
	if (me.conversation && (strlen(me.conversation) != 11 || !is_plain(me.conversation, "")))
		usage();
	if (me.state && (!*me.state || strlen(me.state) >= PATH_BYTES))
		usage();
	random_bytes((uint8_t *)&me.random, sizeof me.random);
	me.random |= 1;
	return (int)(sends ? send_message(client_id, argv[i + 1]) : follow());
}
