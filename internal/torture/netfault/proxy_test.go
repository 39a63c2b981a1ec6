package netfault

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must happen soon but for a slow machine.
const patience = 30 * time.Second

// origin is the server behind the proxy: it answers each request, which is a
// line, with the bytes that answer holds. After the line "bye" it hangs up.
type origin struct {
	addr   string
	answer []byte

	mu    sync.Mutex
	got   bytes.Buffer // all requests
	conns chan net.Conn
}

func newOrigin(t *testing.T, answer []byte) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{addr: l.Addr().String(), answer: answer, conns: make(chan net.Conn, 16)}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			o.conns <- conn
			group.Go(func() { o.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	return o
}

func (o *origin) serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		o.mu.Lock()
		o.got.Write(buf[:n])
		o.mu.Unlock()
		if err != nil {
			return
		}
		for range bytes.Count(buf[:n], []byte("\n")) {
			if _, err := conn.Write(o.answer); err != nil {
				return
			}
		}
		if bytes.HasSuffix(buf[:n], []byte("bye\n")) {
			return
		}
	}
}

func (o *origin) requests() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got.String()
}

// through makes a proxy whose connections all have a fault, and one connection.
func through(t *testing.T, o *origin, f Fault) (*Proxy, net.Conn) {
	t.Helper()
	p, err := New(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.Weather(func(int64) Fault { return f })
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return p, conn
}

func ask(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(conn, line); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly what is wanted.
func expect(t *testing.T, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil {
		t.Fatalf("%d of %d bytes came: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("other bytes came than were written")
	}
}

// silent sees that nothing comes for a moment.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes came, %v; nothing was to come", n, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// ended sees that the connection ends without another byte.
func ended(t *testing.T, conn net.Conn, reset bool) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	if want := map[bool]error{false: io.EOF, true: syscall.ECONNRESET}[reset]; n > 0 || !errors.Is(err, want) {
		t.Fatalf("%d bytes and %v instead of the end (%v)", n, err, want)
	}
}

func struck(t *testing.T, p *Proxy, k Kind) {
	t.Helper()
	for i := Kind(0); int(i) < kinds; i++ {
		want := int64(0)
		if i == k && k != None {
			want = 1
		}
		if got := p.Struck(i); got != want {
			t.Errorf("%v struck %d times, not %d", i, got, want)
		}
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31 >> 3)
	}
	return b
}

func TestNone(t *testing.T) {
	o := newOrigin(t, pattern(100_000))
	p, conn := through(t, o, Fault{})
	ask(t, conn, "one\n")
	expect(t, conn, o.answer)
	ask(t, conn, "two\n")
	expect(t, conn, o.answer)
	if got := o.requests(); got != "one\ntwo\n" {
		t.Errorf("the server got %q", got)
	}
	struck(t, p, None)
}

func TestDelay(t *testing.T) {
	const delay = 60 * time.Millisecond
	o := newOrigin(t, pattern(100))
	p, conn := through(t, o, Fault{Kind: Delay, Delay: delay})
	began := time.Now()
	ask(t, conn, "one\n")
	expect(t, conn, o.answer)
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back took %v, less than twice %v", took, delay)
	}
	struck(t, p, Delay)
}

func TestThrottle(t *testing.T) {
	o := newOrigin(t, pattern(40_000))
	p, conn := through(t, o, Fault{Kind: Throttle, Rate: 100_000})
	began := time.Now()
	ask(t, conn, "one\n")
	expect(t, conn, o.answer)
	// The first share comes at once.
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("40,000 bytes took %v at 100,000 a second", took)
	}
	struck(t, p, Throttle)
}

func TestLumps(t *testing.T) {
	const delay = 300 * time.Millisecond
	o := newOrigin(t, pattern(10))
	p, conn := through(t, o, Fault{Kind: Lumps, Delay: delay})
	began := time.Now()
	for range 5 {
		ask(t, conn, "x\n")
	}
	first := make([]byte, 1000)
	n, err := conn.Read(first)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < delay {
		t.Errorf("something came after %v, before %v", took, delay)
	}
	if want := bytes.Repeat(o.answer, 5); !bytes.HasPrefix(want, first[:n]) {
		t.Error("other bytes came than were written")
	} else {
		expect(t, conn, want[n:])
	}
	struck(t, p, Lumps)
}

func TestLumpsAreHeldUntilCalm(t *testing.T) {
	o := newOrigin(t, pattern(1000))
	p, conn := through(t, o, Fault{Kind: Lumps, Delay: time.Hour})
	ask(t, conn, "one\n")
	silent(t, conn)
	p.Calm()
	expect(t, conn, o.answer)
	ask(t, conn, "two\n")
	expect(t, conn, o.answer)
}

func TestLumpsBeforeAnEnd(t *testing.T) {
	const delay = 200 * time.Millisecond
	o := newOrigin(t, pattern(1000))
	_, conn := through(t, o, Fault{Kind: Lumps, Delay: delay})
	began := time.Now()
	ask(t, conn, "bye\n")
	expect(t, conn, o.answer)
	if took := time.Since(began); took < delay {
		t.Errorf("the answer came after %v, before %v", took, delay)
	}
	ended(t, conn, false)
}

func TestCutAnswer(t *testing.T) {
	for _, reset := range []bool{false, true} {
		o := newOrigin(t, pattern(1000))
		p, conn := through(t, o, Fault{Kind: CutAnswer, After: 1700, Reset: reset})
		ask(t, conn, "one\n")
		expect(t, conn, o.answer)
		ask(t, conn, "two\n")
		expect(t, conn, o.answer[:700])
		ended(t, conn, reset)
		struck(t, p, CutAnswer)
	}
}

func TestCutBeforeAnswer(t *testing.T) {
	o := newOrigin(t, pattern(1000))
	p, conn := through(t, o, Fault{Kind: CutBeforeAnswer, After: 900})
	ask(t, conn, "one\n") // its answer begins before 900 bytes have passed
	expect(t, conn, o.answer)
	struck(t, p, None)
	ask(t, conn, "two\n")
	ended(t, conn, false)
	if got := o.requests(); got != "one\ntwo\n" {
		t.Errorf("the server got %q", got)
	}
	struck(t, p, CutBeforeAnswer)
}

func TestCutRequest(t *testing.T) {
	o := newOrigin(t, pattern(10))
	p, conn := through(t, o, Fault{Kind: CutRequest, After: 6})
	ask(t, conn, "one\n")
	expect(t, conn, o.answer)
	ask(t, conn, "two\n")
	ended(t, conn, false)
	server := <-o.conns
	for { // until the origin has closed it, nothing more can come
		if _, err := server.Write(nil); errors.Is(err, net.ErrClosed) {
			break
		}
	}
	if got := o.requests(); got != "one\ntw" {
		t.Errorf("the server got %q", got)
	}
	struck(t, p, CutRequest)
}

func TestStall(t *testing.T) {
	o := newOrigin(t, pattern(1000))
	p, conn := through(t, o, Fault{Kind: Stall, After: 300, Delay: 250 * time.Millisecond})
	ask(t, conn, "one\n")
	expect(t, conn, o.answer[:300])
	silent(t, conn)
	ended(t, conn, false)
	struck(t, p, Stall)
}

func TestStallEndsWithCalm(t *testing.T) {
	o := newOrigin(t, pattern(1000))
	p, conn := through(t, o, Fault{Kind: Stall, After: 300, Delay: time.Hour})
	ask(t, conn, "one\n")
	expect(t, conn, o.answer[:300])
	silent(t, conn)
	p.Calm()
	expect(t, conn, o.answer[300:])
}

func TestRefuse(t *testing.T) {
	o := newOrigin(t, pattern(1))
	p, conn := through(t, o, Fault{Kind: Refuse})
	ended(t, conn, false)
	struck(t, p, Refuse)
	p.Calm()
	second, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ask(t, second, "one\n")
	expect(t, second, o.answer)
	if got := o.requests(); got != "one\n" {
		t.Errorf("the server got %q", got)
	}
}

func TestEachConnectionHasItsNumber(t *testing.T) {
	o := newOrigin(t, pattern(1))
	p, first := through(t, o, Fault{})
	p.Weather(func(n int64) Fault {
		if n == 1 {
			return Fault{Kind: Refuse}
		}
		return Fault{}
	})
	ask(t, first, "one\n")
	expect(t, first, o.answer)
	for n := 1; n <= 2; n++ {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			ended(t, conn, false)
			continue
		}
		ask(t, conn, "two\n")
		expect(t, conn, o.answer)
	}
}

func TestCut(t *testing.T) {
	o := newOrigin(t, pattern(10))
	p, conn := through(t, o, Fault{})
	ask(t, conn, "one\n")
	expect(t, conn, o.answer)
	if n := p.Cut(); n != 1 {
		t.Errorf("%d connections were open, not 1", n)
	}
	ended(t, conn, false)
}

func TestWithoutAServer(t *testing.T) {
	p, err := New("127.0.0.1:1") // reserved: nobody listens
	if err != nil {
		t.Fatal(err)
	}
	// The end may come before the beginning has been noticed.
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("something came from nowhere")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
