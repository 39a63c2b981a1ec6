package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"holdline/internal/chat"
)

// credentialFlags say whose session a command uses: one that chat has stored, or a token.
type credentialFlags struct {
	serverFlags

	As        string `placeholder:"HANDLE" help:"Whose stored session to use; holdline chat makes them. Not needed while there is only one for the server."`
	TokenFile string `placeholder:"FILE" help:"File whose first line is the token to use instead; or it is in the environment, HOLDLINE_TOKEN."`
}

// session returns the server's address and the token.
func (f *credentialFlags) session() (server, token string, err error) {
	if server, err = chat.Address(f.Server); err != nil {
		return "", "", &usageError{err}
	}
	fromEnvironment, set := os.LookupEnv(tokenVariable)
	switch {
	case f.As != "" && f.TokenFile != "":
		return "", "", usagef("--as and --token-file do not go together")
	case f.TokenFile != "":
		token, err = readTokenFile(f.TokenFile)
	case f.As != "":
		token, err = f.stored(f.As)
	case set:
		token = strings.TrimSpace(fromEnvironment)
	default:
		token, err = f.onlyStored(server)
	}
	if err == nil && token == "" {
		err = errors.New("the token is empty")
	}
	return server, token, err
}

func readTokenFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read from
	token, err := firstLine(f)
	return strings.TrimSpace(token), err
}

func (f *credentialFlags) stored(handle string) (string, error) {
	if !chat.ValidHandle(handle) {
		return "", usagef("%q is no handle", handle)
	}
	account, err := f.account(handle)
	if err != nil {
		return "", err
	}
	s, err := account.Load()
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is not signed in on %s; \"holdline chat --server %s %s\" does that", handle, account.Server, account.Server, handle)
	}
	return s.Token, err
}

func (f *credentialFlags) onlyStored(server string) (string, error) {
	folder, err := chat.DefaultFolder()
	if err != nil {
		return "", err
	}
	handles, err := chat.Stored(folder, server)
	switch {
	case err != nil:
		return "", err
	case len(handles) == 0:
		return "", fmt.Errorf("nobody is signed in on %s: \"holdline chat\" does that, or give --token-file or %s", server, tokenVariable)
	case len(handles) > 1:
		return "", usagef("several are signed in on %s: say --as %s", server, strings.Join(handles, " or --as "))
	}
	return f.stored(handles[0])
}
