package torture

import (
	"reflect"
	"testing"

	"holdline/internal/torture/history"
)

func TestLinesOfText(t *testing.T) {
	for line, want := range map[string]history.Event{
		"2\t2026-11-25T08:00:00.475Z\tmessage\tAyo9QmGzdxB\tone\\ttwo\\n\\\\ three \\u0007": {
			Seq: 2, AcceptedAt: "2026-11-25T08:00:00.475Z", Type: "message", Sender: "Ayo9QmGzdxB", Text: "one\ttwo\n\\ three \a"},
		"9\tT\tmember\tAyo9QmGzdxB\tremoved 0ZWO1koA6to": {Seq: 9, AcceptedAt: "T", Type: "member", Sender: "Ayo9QmGzdxB", Action: "removed", User: "0ZWO1koA6to"},
		"9\tT\ttitle\tAyo9QmGzdxB\tAllotment":            {Seq: 9, AcceptedAt: "T", Type: "title", Sender: "Ayo9QmGzdxB", Title: "Allotment"},
		"7\t-\thidden\t-\t-":                             {Seq: 7, Type: "hidden"},
	} {
		got, err := parseLine(line, false)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
		want.Conversation = "7nznPSyoJHj"
		if got, err = parseLine("7nznPSyoJHj\t"+line, true); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q in an inbox: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "1", "1\t\t\t", "x\tT\tmessage\tA\tB", "1\tT\tmessage\tA\tB\tC", `1	T	message	A	a \q`, `1	T	message	A	a \`, `1	T	message	A	\u12`} {
		if e, err := parseLine(line, false); err == nil {
			t.Errorf("%q was read as %+v", line, e)
		}
	}
}

func TestALineWithoutAnEndIsNone(t *testing.T) {
	const lines = "1\tT\tcreated\tA\t-\n2\tT\tmessage\tA\thello\n"
	if all, err := parseLines(lines, false); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := parseLines(lines[:len(lines)-1], false); err == nil {
		t.Errorf("half a line was read: %+v", all)
	}
}
