module sluice.dev/vectors/health

go 1.26.1

require (
	github.com/argoproj/argo-cd/v3 v3.1.9
	github.com/yuin/gopher-lua v1.1.1
	layeh.com/gopher-json v0.0.0-20190114024228-97fed8db8427
)
