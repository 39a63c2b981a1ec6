package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
)

// configFile is a TOML file whose keys are the settings' flag names. One file
// serves all commands, so a key may belong to another command than the one run.
type configFile map[string]any

func loadConfig(r io.Reader) (kong.Resolver, error) {
	file := configFile{}
	if _, err := toml.NewDecoder(r).Decode(&file); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("the configuration file is not valid TOML: %s", strings.TrimSpace(syntax.ErrorWithPosition()))
		}
		return nil, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	return file, nil
}

// Validate implements kong.Resolver: it refuses keys that name no setting.
func (f configFile) Validate(app *kong.Application) error {
	known := settings(app)
	keys := make([]string, 0, len(f))
	for key := range f {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if known[key] == nil {
			return fmt.Errorf(`the configuration file has the key %q, but there is no such setting; "holdline serve --help" lists them`, key)
		}
	}
	return nil
}

// Resolve implements kong.Resolver. kong lets files win over the environment;
// here the environment wins, as it is the closer one.
func (f configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := f[flag.Name]
	if !ok || !isSetting(flag) || fromEnvironment(flag) {
		return nil, nil
	}
	return settingText(flag.Name, value)
}

// settingText turns a TOML value into the text that the flag would take.
func settingText(key string, value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case bool, int64, float64:
		return fmt.Sprint(v), nil
	case []any:
		parts := make([]string, 0, len(v))
		for _, element := range v {
			part, err := settingText(key, element)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	}
	return "", fmt.Errorf("the key %q in the configuration file holds neither text nor a number, a boolean or a list of them", key)
}
