//! The browser's build of the node: a flat C interface for the TypeScript driver.
