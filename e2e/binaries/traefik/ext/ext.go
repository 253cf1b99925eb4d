// Package ext stands in for a module that Traefik requires by a relative path and that is not published.
package ext

// HTTP carries no extension fields in this build.
type HTTP struct{}

// Router carries no extension fields in this build.
type Router struct{}
