package together

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"sync"

	"holdline/internal/harness"
	holdline "holdline/sdk/go"
)

// goSDK is a program on the Go SDK, which is this one.
func (g *group) goSDK(handle, token string) client {
	h, err := holdline.New(g.server.URL, holdline.Options{Token: token})
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var shown []said
	var ended error
	var following sync.WaitGroup
	g.t.Cleanup(func() { cancel(); following.Wait() })
	following.Go(func() {
		for update, err := range h.Follow(ctx, holdline.FollowOptions{FromStart: true, AckDelivered: true}) {
			mu.Lock()
			if err != nil {
				ended = err
			} else if e := update.Event; update.Kind == holdline.KindEvent && e.Type == "message" && e.ConversationId == g.id {
				shown = append(shown, said{e.Seq, g.names[e.SenderId], e.Text})
			}
			mu.Unlock()
		}
	})
	return client{handle, func(text string) error {
		_, err := h.Send(ctx, g.id, text, holdline.SendOptions{})
		return err
	}, func() ([]said, error) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(shown), ended
	}}
}

// typeScript is a program on the TypeScript SDK, in Node.js.
func (g *group) typeScript(handle, token string) client {
	dir := g.t.TempDir()
	if err := harness.InstallTypeScript(g.t.Context(), "../../sdk/typescript", dir); err != nil {
		g.t.Fatal(err)
	}
	npx, err := harness.Program("npx")
	if err != nil {
		g.t.Fatal(err)
	}
	p := harness.StartChild(g.t, []string{"HOLDLINE_URL=" + g.server.URL, "HOLDLINE_TOKEN=" + token, "HOLDLINE_CONVERSATION=" + g.id},
		npx, "--yes", "--package=node@22", "--", "node", "--disable-warning=ExperimentalWarning", filepath.Join(dir, "test", "participant.ts"))
	return client{handle, func(text string) error { return p.Write(text) }, func() ([]said, error) {
		return shown(p, func(line string) (said, bool) {
			var e harness.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.ConversationID != g.id {
				return said{who: line}, true // which no log holds
			}
			return said{e.Seq, g.names[e.SenderID], e.Text}, e.Type == "message"
		})
	}}
}
