export { BackboneError, BACKBONES, findBackbone, type Backbone, type ImageChannels } from './backbones.ts';
export { parseModel, tensorType } from './onnx/decode.ts';
export { encodeModel } from './onnx/encode.ts';
export { OnnxFormatError } from './onnx/format-error.ts';
export type { OnnxDimension, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxTensorType, OnnxValueInfo } from './onnx/model.ts';
export { buildScattering, SCATTERING_FEATURES } from './scattering.ts';
