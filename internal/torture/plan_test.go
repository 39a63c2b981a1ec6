package torture

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"holdline/internal/torture/netfault"
)

var testScale = Scale{
	Seed: 7, Duration: 30 * time.Second, Clients: 24, Users: 12, Conversations: 15, Rate: 100, Nodes: 2,
	Processes: true, Sessions: true, Database: true,
}

func planText(t *testing.T, s Scale) string {
	t.Helper()
	text, err := json.Marshal(NewPlan(s))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheSameSeedMakesTheSamePlan(t *testing.T) {
	first := planText(t, testScale)
	if planText(t, testScale) != first {
		t.Error("the same seed made two plans")
	}
	other := testScale
	other.Seed++
	if planText(t, other) == first {
		t.Error("two seeds made the same plan")
	}
}

// Over many seeds, what the checker relies on holds: the keeper of a conversation
// is in it from the start and never leaves.
func TestTheKeeperStays(t *testing.T) {
	for seed := range int64(50) {
		s := testScale
		s.Seed = seed
		p := NewPlan(s)
		for i, c := range p.Conversations {
			if !slices.Contains(c.Members, c.Keeper) || !slices.Contains(c.Members, c.Creator) {
				t.Fatalf("seed %d: conversation %d is %+v", seed, i, c)
			}
			if c.Kind == "direct" && len(c.Members) != 2 {
				t.Fatalf("seed %d: direct conversation %d has members %v", seed, i, c.Members)
			}
		}
		for _, a := range p.Acts {
			keeper := p.Conversations[a.Conversation].Keeper
			if a.Verb == Remove && slices.Contains(a.Users, keeper) || a.Verb == Leave && s.userOf(a.Client) == keeper {
				t.Fatalf("seed %d: the keeper goes: %+v", seed, a)
			}
		}
	}
}

// A run of the default size has some of everything.
func TestEverythingIsPlanned(t *testing.T) {
	p := NewPlan(testScale)
	count := map[string]int{}
	for _, a := range p.Acts {
		count[string(a.Verb)]++
		if a.Client < 0 || a.Client >= testScale.Clients || a.Node < 0 || a.Node >= testScale.Nodes || a.At > testScale.Duration {
			t.Fatalf("%+v is out of bounds", a)
		}
		if a.Attempts > 0 {
			count["given up"]++
		}
	}
	for _, f := range p.Faults {
		count[string(f.What)]++
	}
	for _, r := range p.Readers {
		count[string(r.Form)]++
		for _, l := range r.Legs {
			if l.Fork {
				count["fork"]++
			}
			if l.Back > 0 {
				count["back"]++
			}
		}
	}
	for _, c := range p.Conversations {
		count[fmt.Sprintf("%s late=%v", c.Kind, c.Late)]++
	}
	for _, want := range []string{
		"send", "replay", "twice", "create", "add", "remove", "leave", "title", "ack", "beyond", "state", "list", "head", "receipts", "privacy", "given up",
		"pause", "kill", "stop", "clock", "connections", "weather", "sessions", "database stop", "database kill",
		"stream", "poll", "text", "inbox-stream", "inbox-poll", "inbox-text", "fork", "back",
		"group late=false", "group late=true", "direct late=false", "direct late=true",
	} {
		if count[want] == 0 {
			t.Errorf("no %s was planned; there are %v", want, count)
		}
	}
	if sends := count["send"] + count["twice"]; sends < 2000 || sends > 4000 {
		t.Errorf("%d sends were planned in 30 s at 100 a second", sends)
	}
}

func TestOnlyWhatIsInHand(t *testing.T) {
	s := testScale
	s.Processes, s.Sessions, s.Database = false, false, false
	for _, f := range NewPlan(s).Faults {
		if f.What != Weather && f.What != Connections {
			t.Errorf("%+v was planned for a server that is not ours", f)
		}
	}
}

func TestWeatherIsTheSameAgain(t *testing.T) {
	for _, sky := range skyNames {
		f := Fault{What: Weather, Sky: sky, Seed: 3}
		first, again := f.weather(), f.weather()
		count := map[netfault.Kind]int{}
		for n := range int64(2000) {
			got := first(n)
			if again(n) != got {
				t.Fatalf("%s: connection %d fares differently the second time", sky, n)
			}
			count[got.Kind]++
		}
		for _, s := range skies[sky] {
			if count[s.kind] == 0 {
				t.Errorf("%s: no connection in 2,000 had %v", sky, s.kind)
			}
		}
	}
}
