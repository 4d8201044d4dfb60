"""The study site: what was found, as pages to read in a browser, without network or scripts."""
