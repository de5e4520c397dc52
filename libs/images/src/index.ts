export { loadBackbone, type BackboneChoice, type FeatureModel } from './features/backbone.ts';
export { backboneInterface, type BackboneInterface } from './features/backbone-interface.ts';
export {
  extractDataset,
  extractFeatures,
  type ExtractedDataset,
  type ExtractOptions,
  type ExtractProgress,
  type FeatureRow,
} from './features/extract.ts';
export { FEATURE_ERROR_CODES, FeatureError, type FeatureErrorCode } from './features/feature-error.ts';
export { FEATURE_FORMATS, FeatureWriter, readFeatures } from './features/feature-file.ts';
export { openFolderSource, type FolderSourceOptions } from './features/folder-source.ts';
export { openIdxSource, type IdxSourceOptions } from './features/idx-source.ts';
export type { EncodedImage, ImageSource, Pixels } from './features/image-source.ts';
export { CHANNEL_ORDERS, type ChannelOrder, type ImagePreprocessing } from './features/tensor.ts';
export { BackboneError } from './backbones/backbone-error.ts';
export {
  BACKBONES,
  findBackbone,
  REGNET_WEIGHTS_HELP,
  type Backbone,
  type ImageChannels,
} from './backbones/backbones.ts';
export {
  exportModel,
  type ExportOptions,
  type FeaturePreprocessing,
  type ImageNormalisation,
} from './backbones/head.ts';
export { parseModel, tensorType } from './backbones/onnx/decode.ts';
export { encodeModel } from './backbones/onnx/encode.ts';
export { OnnxFormatError } from './backbones/onnx/format-error.ts';
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
} from './backbones/onnx/model.ts';
export {
  buildRegnet,
  randomRegnetWeights,
  REGNET_FEATURES,
  REGNET_PARAMETERS,
  REGNET_SIZE,
  type RegnetOptions,
  type StateDict,
} from './backbones/regnet.ts';
export { parseSafetensors, SafetensorsError, type StoredTensor } from './backbones/safetensors.ts';
export { buildScattering, SCATTERING_FEATURES } from './backbones/scattering.ts';
