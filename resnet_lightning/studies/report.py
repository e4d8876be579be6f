def report(name: str) -> None:
    print("report", name)
