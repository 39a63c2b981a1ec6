package main

import (
	"fmt"
	"io"
	"net"
)

// announce tells where the server is, and a command that shows that it works.
// Programs read the address from the first line.
func (s *serveCmd) announce(w io.Writer, address net.Addr) error {
	url := publicURL(address)
	text := fmt.Sprintf("Holdline is listening at %s (database: %s).\n", url, s.describe())
	if s.Signup == "open" || s.Signup == "auto" && isLoopback(address) {
		text += fmt.Sprintf("Make an account:\n\n"+
			"  curl %s/v1/users --json '{\"handle\":\"ann\",\"password\":\"correct horse battery\"}'\n\n", url)
	} else {
		text += fmt.Sprintf("Sign-up is closed. Make an account in another terminal, then sign in:\n\n"+
			"  holdline user add ann --database '%s'\n"+
			"  curl %s/v1/sessions --json '{\"handle\":\"ann\",\"password\":\"…\"}'\n\n", s.describe(), url)
	}
	text += fmt.Sprintf("The reference is at %s/docs. Ctrl-C stops the server.\n", url)
	_, err := io.WriteString(w, text)
	return err
}

// publicURL is an address that a client on this machine can use.
func publicURL(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return "http://" + address.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if port == "80" {
		return "http://" + host
	}
	return "http://" + net.JoinHostPort(host, port)
}
