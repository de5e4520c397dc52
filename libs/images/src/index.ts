export { loadBackbone, type BackboneChoice, type FeatureModel } from './features/backbone.ts';
export { backboneInterface, type BackboneInterface } from './features/backbone-interface.ts';
export { extractDataset, type ExtractedDataset } from './features/extract-dataset.ts';
export { extractFeatures, type ExtractOptions, type ExtractProgress, type FeatureRow } from './features/extract.ts';
export { FEATURE_ERROR_CODES, FeatureError, type FeatureErrorCode } from './feature-error.ts';
export { FEATURE_FORMATS, FeatureWriter, readFeatures } from './features/feature-file.ts';
export { openFolderSource, type FolderSourceOptions } from './features/folder-source.ts';
export { openIdxSource, type IdxSourceOptions } from './features/idx-source.ts';
export type { EncodedImage, ImageSource, Pixels } from './features/image-source.ts';
export { CHANNEL_ORDERS, type ChannelOrder, type ImagePreprocessing } from './features/tensor.ts';
export {
  BACKBONES,
  findBackbone,
  REGNET_WEIGHTS_HELP,
  type Backbone,
  type ImageChannels,
  type ImageNormalisation,
} from './backbones/backbones.ts';
export { exportModel, type ExportOptions } from './backbones/export-model.ts';
export { encodeModel, parseModel } from './backbones/onnx/model-file.ts';
export type { FeaturePreprocessing } from './backbones/trained-layer.ts';
export { buildRegnet, REGNET_FEATURES, REGNET_SIZE, type RegnetOptions } from './backbones/regnet.ts';
export { REGNET_PARAMETERS } from './backbones/regnet-layers.ts';
export { randomRegnetWeights, type StateDict } from './backbones/regnet-weights.ts';
export { parseSafetensors, type StoredTensor } from './backbones/safetensors.ts';
export { buildScattering, SCATTERING_FEATURES } from './backbones/scattering.ts';
