package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// Bare serves what Holdline is compared with until ctx ends, and prints its
// address to out. It runs in a process of its own, like the server:
//
//   - POST /v1/conversations/:id/messages, a plain echo handler: it binds the
//     JSON, makes the full 201 body and stores nothing. No authentication, no
//     strict decoding, no limits.
//   - GET /v1/conversations/:id/stream answers with the head of an event stream
//     and keeps the socket; POST /fan writes its body to each of these sockets,
//     one write(2) after the other, then answers 204.
func Bare(ctx context.Context, listen string, out io.Writer) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fan := &bareFan{}
	e := echo.New()
	e.POST("/v1/conversations/:id/messages", bareSend(new(atomic.Int64)))
	e.GET("/v1/conversations/:id/stream", fan.join)
	e.POST("/fan", fan.write)
	srv := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = srv.Close() }) // nothing to drain: Serve returns its error
	defer stopped()
	if _, err := fmt.Fprintf(out, "bare handler at http://%s\n", ln.Addr()); err != nil {
		return errors.Join(err, ln.Close())
	}
	err = srv.Serve(ln)
	fan.close()
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return err
}

// bareMessage is the `message` event that a send is answered with.
type bareMessage struct {
	ConversationID string    `json:"conversation_id"`
	Seq            int64     `json:"seq"`
	Type           string    `json:"type"`
	ClientID       string    `json:"client_id"`
	SenderID       string    `json:"sender_id"`
	Text           string    `json:"text"`
	AcceptedAt     time.Time `json:"accepted_at"`
}

func bareSend(seq *atomic.Int64) echo.HandlerFunc {
	return func(c echo.Context) error {
		var in struct {
			ClientID string `json:"client_id"`
			Text     string `json:"text"`
		}
		if err := c.Bind(&in); err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, bareMessage{
			ConversationID: c.Param("id"),
			Seq:            seq.Add(1),
			Type:           "message",
			ClientID:       in.ClientID,
			SenderID:       "00000000000",
			Text:           in.Text,
			AcceptedAt:     time.Now().UTC().Truncate(time.Millisecond),
		})
	}
}

// bareFan is the set of sockets that POST /fan writes to.
type bareFan struct {
	mu     sync.Mutex
	conns  []net.Conn
	writes []func([]byte) error
}

const bareStreamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 2000\n\n"

func (f *bareFan) join(c echo.Context) error {
	conn, _, err := c.Response().Hijack()
	if err != nil {
		return err
	}
	// A reader that has seen the head is one that the next write reaches.
	f.mu.Lock()
	defer f.mu.Unlock()
	write, err := rawWriter(conn)
	if err == nil {
		_, err = io.WriteString(conn, bareStreamHead)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	f.conns = append(f.conns, conn)
	f.writes = append(f.writes, write)
	return nil
}

func (f *bareFan) write(c echo.Context) error {
	frame, err := io.ReadAll(io.LimitReader(c.Request().Body, maxHead))
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, write := range f.writes {
		if err := write(frame); err != nil {
			return echo.NewHTTPError(http.StatusInternalServerError, "socket "+strconv.Itoa(i)+": "+err.Error())
		}
	}
	return c.NoContent(http.StatusNoContent)
}

func (f *bareFan) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		_ = conn.Close() // the process ends; nothing was promised to these readers
	}
}
