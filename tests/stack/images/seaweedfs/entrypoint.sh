#!/bin/sh
# As the official image: `server` keeps its data in /data; other commands are handed on.
case $1 in
server) shift; exec /usr/bin/weed -logtostderr=true server -dir=/data -volume.max=0 -master.volumeSizeLimitMB=1024 "$@" ;;
*) exec /usr/bin/weed "$@" ;;
esac
