"""How are a study's runs carried out? On this machine, on a cluster, or printed."""
