package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

const (
	// variablePrefix starts the name of every environment variable that is ours.
	variablePrefix = "HOLDLINE_"
	// testPrefix starts those that are for the tests of this project.
	testPrefix = "HOLDLINE_TEST_"
)

// parse reads the command line, the environment and the configuration file,
// and refuses what is unknown or out of its limits.
func parse(parser *kong.Kong, args []string) (*kong.Context, error) {
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	if err := checkEnvironment(parser.Model, os.Environ()); err != nil {
		return nil, err
	}
	if err := checkLimits(ctx); err != nil {
		return nil, err
	}
	return ctx, nil
}

// isSetting reports whether a flag can also come from the environment and the file.
func isSetting(flag *kong.Flag) bool { return flag.Tag.Has("setting") }

// nameVariables gives each setting its environment variable.
func nameVariables(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && isSetting(flag) {
			name := variablePrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
			flag.Envs = []string{name}
			flag.Tag.Envs = flag.Envs
		}
		return next(nil)
	})
}

// settings returns the settings of all commands by flag name.
func settings(app *kong.Application) map[string]*kong.Flag {
	all := map[string]*kong.Flag{}
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error { // the function never fails
		if flag, ok := node.(*kong.Flag); ok && isSetting(flag) {
			all[flag.Name] = flag
		}
		return next(nil)
	})
	return all
}

// checkEnvironment refuses HOLDLINE_ variables that name no setting: a
// misspelt one would otherwise leave a default standing in silence.
func checkEnvironment(app *kong.Application, environ []string) error {
	known := map[string]bool{variablePrefix + "CONFIG": true, passwordVariable: true, tokenVariable: true}
	for _, flag := range settings(app) {
		known[flag.Envs[0]] = true
	}
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, variablePrefix) && !strings.HasPrefix(name, testPrefix) && !known[name] {
			return fmt.Errorf(`the environment holds %s, but there is no such setting; "holdline serve --help" lists them`, name)
		}
	}
	return nil
}

// checkLimits compares the chosen command's settings with their `min` and `max`.
func checkLimits(ctx *kong.Context) error {
	for _, step := range ctx.Path {
		for _, flag := range step.Flags {
			if err := checkLimit(flag); err != nil {
				return fmt.Errorf("%s: %w", origin(ctx, flag), err)
			}
		}
	}
	return nil
}

func checkLimit(flag *kong.Flag) error {
	lowest, highest := flag.Tag.Get("min"), flag.Tag.Get("max")
	if lowest == "" {
		return nil
	}
	value, err := quantity(flag.Target.Interface())
	if err != nil {
		return err
	}
	bounds := make([]int64, 0, 2)
	for _, text := range []string{lowest, highest} {
		bound, err := parseQuantity(flag.Target.Interface(), text)
		if err != nil {
			return fmt.Errorf("its limit %q cannot be read: %w", text, err)
		}
		bounds = append(bounds, bound)
	}
	if zeroAllowed := flag.Tag.Has("orzero"); value == 0 && zeroAllowed {
		return nil
	}
	if value < bounds[0] || value > bounds[1] {
		return fmt.Errorf("%v is not %s", flag.Target.Interface(), limitText(flag.Tag))
	}
	return nil
}

// limitText says a setting's limits in words; empty if it has none.
func limitText(tag *kong.Tag) string {
	lowest, highest := tag.Get("min"), tag.Get("max")
	if lowest == "" {
		return ""
	}
	text := "from " + lowest + " to " + highest
	if tag.Has("orzero") {
		text = "0 or " + text
	}
	return text
}

// quantity is the number that a setting's limits are about.
func quantity(value any) (int64, error) {
	switch v := value.(type) {
	case int:
		return int64(v), nil
	case time.Duration:
		return int64(v), nil
	case byteSize:
		return int64(v), nil
	}
	return 0, fmt.Errorf("limits on a %T", value)
}

// parseQuantity reads text as the same kind of number as like.
func parseQuantity(like any, text string) (int64, error) {
	switch like.(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		return int64(d), err
	default:
		var n byteSize
		err := n.UnmarshalText([]byte(text))
		return int64(n), err
	}
}

// origin names where a value came from, so that a person knows what to correct.
func origin(ctx *kong.Context, flag *kong.Flag) string {
	onCommandLine := slices.ContainsFunc(ctx.Path, func(p *kong.Path) bool { return p.Flag == flag && !p.Resolved })
	switch {
	case onCommandLine:
		return "--" + flag.Name
	case fromEnvironment(flag):
		return flag.Envs[0]
	default:
		return flag.Name + " in the configuration file"
	}
}

func fromEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, set := os.LookupEnv(name)
		return set
	})
}

// formatSetting is the help text of one flag: what it does, its limits, its variable.
func formatSetting(value *kong.Value) string {
	text := value.Help
	if limits := limitText(value.Tag); limits != "" {
		text += " " + strings.ToUpper(limits[:1]) + limits[1:] + "."
	}
	if len(value.Tag.Envs) > 0 {
		text += " ($" + value.Tag.Envs[0] + ")"
	}
	return text
}
