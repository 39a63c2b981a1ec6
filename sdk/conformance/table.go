package conformance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

//go:embed table.yaml
var table []byte

// Situation is one row of the table. README.md says what each field means to a runner.
type Situation struct {
	Name      string   `json:"name" yaml:"name"`
	Transport string   `json:"transport" yaml:"transport"`
	Follow    string   `json:"follow" yaml:"follow"`
	FromStart bool     `json:"from_start,omitempty" yaml:"from_start"`
	Ack       bool     `json:"ack,omitempty" yaml:"ack"`
	Server    []string `json:"server,omitempty" yaml:"server"`
	Client    Timing   `json:"client" yaml:"client"`
	Steps     []Step   `json:"steps" yaml:"steps"`
	Sees      Sees     `json:"sees" yaml:"sees"`
}

// Timing are the SDK's times in this situation, in milliseconds; 0 for the runner's own.
type Timing struct {
	FirstHeartbeat int `json:"first_heartbeat_ms,omitempty" yaml:"first_heartbeat_ms"`
	Idle           int `json:"idle_ms,omitempty" yaml:"idle_ms"`
	StreamAgain    int `json:"stream_again_ms,omitempty" yaml:"stream_again_ms"`
}

// Step is a command for the World, or something for the runner to do itself.
type Step struct {
	Command `yaml:",inline"`

	Await     string `json:"await,omitempty" yaml:"await"`
	Transport string `json:"transport,omitempty" yaml:"transport"`
	Outcome   string `json:"outcome,omitempty" yaml:"outcome"`
}

// Sees is what has to be so in the end, beside what always has to be.
type Sees struct {
	End       string `json:"end,omitempty" yaml:"end"`
	Resets    int    `json:"resets,omitempty" yaml:"resets"`
	Transport string `json:"transport,omitempty" yaml:"transport"`
	Struck    int    `json:"struck,omitempty" yaml:"struck"`
}

// Table returns the situations.
func Table() ([]Situation, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(table))
	decoder.KnownFields(true)
	var t struct {
		Situations []Situation `yaml:"situations"`
	}
	if err := decoder.Decode(&t); err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the table is more than one document")
	}
	for _, s := range t.Situations {
		if s.Name == "" || !slices.Contains([]string{"stream", "longpoll", "auto"}, s.Transport) || !slices.Contains([]string{"inbox", "room"}, s.Follow) || len(s.Steps) == 0 {
			return nil, fmt.Errorf("situation %q is not whole", s.Name)
		}
	}
	return t.Situations, nil
}
