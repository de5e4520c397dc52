#!/bin/sh
# Generates onnx_pb.ts from onnx.proto. Run it after a change of onnx.proto and check in the result.
cd "$(dirname "$0")" && exec npx --yes -p @bufbuild/buf@1.75.0 -p @bufbuild/protobuf@2.17.0 \
  -p @bufbuild/protoc-gen-es@2.17.0 buf generate onnx.proto \
  --template '{"version":"v2","plugins":[{"local":"protoc-gen-es","out":".","opt":"target=ts"}]}'
