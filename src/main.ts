console.log(BUILD_VERSION, BUILD_REVISION);
declare const BUILD_VERSION: string;
declare const BUILD_REVISION: string;
