export { BackboneError } from './backbone-error.ts';
export { BACKBONES, findBackbone, REGNET_WEIGHTS_HELP, type Backbone, type ImageChannels } from './backbones.ts';
export { exportModel, type ExportOptions, type FeaturePreprocessing, type ImageNormalisation } from './head.ts';
export { parseModel, tensorType } from './onnx/decode.ts';
export { encodeModel } from './onnx/encode.ts';
export { OnnxFormatError } from './onnx/format-error.ts';
export {
  DATA_TYPES,
  type OnnxAttribute,
  type OnnxAttributeValue,
  type OnnxDimension,
  type OnnxGraph,
  type OnnxMetadata,
  type OnnxModel,
  type OnnxNode,
  type OnnxOpset,
  type OnnxTensor,
  type OnnxTensorType,
  type OnnxValueInfo,
} from './onnx/model.ts';
export { buildRegnet, randomRegnetWeights, REGNET_FEATURES, REGNET_PARAMETERS, REGNET_SIZE, type RegnetOptions, type StateDict } from './regnet.ts';
export { parseSafetensors, SafetensorsError, type StoredTensor } from './safetensors.ts';
export { buildScattering, SCATTERING_FEATURES } from './scattering.ts';
