export { loadBackbone, type BackboneChoice, type FeatureModel } from './backbone.ts';
export { backboneInterface, type BackboneInterface } from './backbone-interface.ts';
export { extractDataset, extractFeatures, type ExtractedDataset, type ExtractOptions, type ExtractProgress, type FeatureRow } from './extract.ts';
export { FEATURE_ERROR_CODES, FeatureError, type FeatureErrorCode } from './feature-error.ts';
export { FEATURE_FORMATS, FeatureWriter, readFeatures } from './feature-file.ts';
export { openFolderSource, type FolderSourceOptions } from './folder-source.ts';
export { openIdxSource, type IdxSourceOptions } from './idx-source.ts';
export type { EncodedImage, ImageSource, Pixels } from './image-source.ts';
export { CHANNEL_ORDERS, type ChannelOrder, type ImagePreprocessing } from './tensor.ts';
