package main

import "log/slog"

// logFlags say what is logged, and how. The log goes to standard error.
type logFlags struct {
	LogLevel  string `setting:"" group:"process" default:"info" enum:"debug,info,warn,error" help:"What to log: debug, info, warn or error, and what is worse."`
	LogFormat string `setting:"" group:"process" default:"text" enum:"text,json" help:"One line an entry: text (key=value) or json."`
}

func (f *logFlags) logger(c *console) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // kong has checked the words
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(c.err, options))
	}
	return slog.New(slog.NewTextHandler(c.err, options))
}
