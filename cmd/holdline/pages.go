package main

import (
	"net/http"

	"holdline/api"
	"holdline/web"
)

// pages are what people see who come with a browser.
func pages() []api.Page {
	all := []api.Page{{Path: "/", Handler: http.HandlerFunc(web.Front)}}
	for _, file := range web.Legacy() {
		all = append(all, api.Page{Path: file.Path, Handler: file})
	}
	return all
}
